# shellcheck shell=bash
# Gives a workload's container an image, by kubectl and nothing more: nobody waits for it.
# Reads KUBECONFIG_BASE64, NAMESPACE, WORKLOAD (such as cronjob/report), CONTAINER and IMAGE.
set -euo pipefail

umask 077
kubeconfig=$(mktemp)
trap 'rm -f "$kubeconfig"' EXIT
if ! base64 --decode <<<"$KUBECONFIG_BASE64" >"$kubeconfig" 2>/dev/null || [[ ! -s $kubeconfig ]]; then
  echo "::error title=No kubeconfig::KUBECONFIG_BASE64 is no kubeconfig in base64. The environment's secret is pulumi up's: run it again"
  exit 1
fi
kubectl --kubeconfig "$kubeconfig" --namespace "$NAMESPACE" set image "$WORKLOAD" "$CONTAINER=$IMAGE"
