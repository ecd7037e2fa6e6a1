module esteira/test/argo-cd/tools/argo-cd

go 1.26.0

// It is built inside its own module, so `go mod tidy` would drop it here.
// The newest whose modules can all be had: from 3.3 on it needs a module nested in its own repository, and 3.2.12 does not compile.
require github.com/argoproj/argo-cd/v3 v3.2.11
