// Where the definitions of kinds come from that are not Kubernetes' own, and what an installation of Argo CD holds: no package
// of these is built, so `go mod tidy` would drop them. A module of its own, because their requirements are not to choose the
// versions that Kubernetes is built of.
module esteira/sandbox/kubernetes/definitions

go 1.26.3

require (
	github.com/argoproj-labs/argocd-image-updater v1.3.0
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
