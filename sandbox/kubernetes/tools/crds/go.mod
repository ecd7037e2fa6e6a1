// Where the definitions of Argo CD's own kinds come from: no package of it is built, so `go mod tidy` would drop it.
// A folder of its own, because Argo CD's requirements are not to choose the versions that Kubernetes is built of.
module esteira/sandbox/kubernetes/tools/crds

go 1.26.3

require github.com/argoproj/argo-cd/v3 v3.5.7
