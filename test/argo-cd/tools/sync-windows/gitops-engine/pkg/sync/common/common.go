package common

type (
	SyncPhase      string
	OperationPhase string
	ResultCode     string
	HookType       string
)

const (
	AnnotationDeletionApproved            = "argocd.argoproj.io/deletion-approved"
	ResultCodePruneSkipped     ResultCode = "PruneSkipped"
)
