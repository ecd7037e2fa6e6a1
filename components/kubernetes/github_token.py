"""A credential plugin of kubectl: prints GitHub's own token of the job that runs it, for one audience.

Reads AUDIENCE, and ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN, which GitHub sets in a job that has
`permissions: id-token: write`; and for tests RETRY_SECONDS (2).
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def token_of_job():
    try:
        url, secret = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"], os.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    except KeyError:
        sys.exit("This job has no token of GitHub's: it needs `permissions: id-token: write`")
    asked = urllib.request.Request(f"{url}&audience={urllib.parse.quote(os.environ['AUDIENCE'], safe='')}")
    asked.add_unredirected_header("Authorization", f"Bearer {secret}")
    for attempt in range(4):
        time.sleep(attempt * float(os.environ.get("RETRY_SECONDS", "2")))
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            problem = f"status {error.code}"
            error.close()
            if error.code < 500 and error.code != 429:
                break
        except (OSError, ValueError, KeyError) as error:
            problem = f"{type(error).__name__}"
    sys.exit(f"GitHub gave no token for the audience {os.environ['AUDIENCE']}: {problem}")


token = token_of_job()
claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
# Half a minute early: one that ends on its way is refused.
until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(claims["exp"] - 30))
status = {"token": token, "expirationTimestamp": until}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
