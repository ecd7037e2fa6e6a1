// The names of Argo CD's nested module that its types need to compile, and nothing of what it does: that module is not to be had by
// itself. What sync windows are evaluated by is all in Argo CD's own module, and uses none of this.
module github.com/argoproj/argo-cd/gitops-engine

go 1.26.0

require github.com/go-logr/logr v1.4.3
