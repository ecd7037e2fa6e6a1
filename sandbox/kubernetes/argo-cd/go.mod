// Where the definitions of Argo CD's and its Image Updater's kinds come from, and what an installation of them holds: no package
// of them is built, so `go mod tidy` would drop them. A module of its own, because their requirements are not to choose the
// versions that Kubernetes is built of.
module esteira/sandbox/kubernetes/argo-cd

go 1.26.3

require (
	github.com/argoproj-labs/argocd-image-updater v1.3.0
	github.com/argoproj/argo-cd/v3 v3.5.7
)
