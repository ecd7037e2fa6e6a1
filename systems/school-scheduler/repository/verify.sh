# shellcheck shell=bash
# Whether preprod's workflow has signed the image: by Sigstore's certificate, which names the workflow and the ref that it
# ran for. Reads IMAGE, with its digest, and SIGNER, a regular expression
set -euo pipefail
if ! cosign verify --certificate-oidc-issuer https://token.actions.githubusercontent.com \
  --certificate-identity-regexp "$SIGNER" "$IMAGE" >/dev/null; then
  echo "::error title=Not signed by preprod::$IMAGE has no signature of $SIGNER, or it could not be checked: see the lines above." \
    "Nothing was deployed. Run preprod's workflow on this commit, wait until its gate has passed, then run this job again"
  exit 1
fi
