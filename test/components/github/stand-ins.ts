/** Stand-ins for the actions of delivered workflows: they do what these workflows see of them. */
import type { Sandbox } from "../../support/sandbox.ts";
import type { RegistryStub } from "./registry-stub.ts";

/** Stand-ins with a record of their inputs. */
export class StandIns {
  /** The folder of each, by OWNER/NAME, as `Act` takes them. */
  readonly folders: Readonly<Record<string, string>>;
  readonly #sandbox: Sandbox;

  /**
   * Checkouts come from the run's GITHUB_SERVER_URL, builds go to the registry, a scan calls `scan` with the image.
   * @param registry where images are published, if any are
   */
  constructor(sandbox: Sandbox, registry?: RegistryStub) {
    this.#sandbox = sandbox;
    this.folders = {
      "actions/checkout": this.#action(
        "checkout",
        { ref: "", "fetch-depth": "1", token: "${{ github.token }}", "persist-credentials": "true" },
        `find . -mindepth 1 -delete
git init --quiet
git remote add origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
header="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$(input token)" | base64 -w0)"
fetch() { git -c "http.$GITHUB_SERVER_URL/.extraheader=$header" fetch --quiet --no-tags "$@"; }
if [[ $(input fetch-depth) == 0 ]]; then
  fetch origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
  git checkout --quiet --detach "refs/remotes/origin/$(input ref)"
else
  ref=$(input ref)
  fetch --depth=1 origin "\${ref:-$GITHUB_REF}"
  git checkout --quiet --detach FETCH_HEAD
fi`,
      ),
      "actions/setup-python": this.#action(
        "setup-python",
        { "python-version": "" },
        'echo "pythonLocation=/python/$(input python-version)" >>"$GITHUB_ENV"',
      ),
      "actions/setup-node": this.#action("setup-node", { "node-version": "", "package-manager-cache": "" }),
      ...(registry && this.#publishing(registry)),
    };
  }

  #publishing(registry: RegistryStub): Record<string, string> {
    const header = this.#sandbox.write("login", `authorization: Bearer ${registry.token}\n`);
    return {
      "docker/setup-buildx-action": this.#action("setup-buildx", {}),
      "docker/login-action": this.#action("login", { registry: "", username: "", password: "" }),
      // Pushes an index, annotated as it is told, and nothing that the index would consist of. No two builds are the same.
      "docker/build-push-action": this.#action(
        "build-push",
        { context: "", file: "", push: "", tags: "", labels: "", annotations: "" },
        `test -f "$(input file)"
annotation=$(input annotations)
tag=$(input tags)
jq -cjn --arg all "\${annotation#index,manifest:}" --arg run "$GITHUB_RUN_ID" '{mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [], annotations: {run: $run, ($all | split("=")[0]): ($all | split("=")[1])}}' >index.json
curl --silent --fail --output /dev/null --request PUT --data-binary @index.json --header '@${header}' \
  "${registry.server.url}${registry.path("manifests")}/\${tag##*:}"
echo "digest=sha256:$(sha256sum <index.json | cut -d' ' -f1)" >>"$GITHUB_OUTPUT"`,
        { digest: { value: "${{ steps.it.outputs.digest }}" } },
      ),
      "sigstore/cosign-installer": this.#action("cosign-installer", {}),
      "anchore/scan-action": this.#action(
        "scan",
        { image: "", "fail-build": "", "severity-cutoff": "", "only-fixed": "", "output-format": "" },
        'scan "$(input image)"',
      ),
    };
  }

  /** What an action was called with, each time, without its secrets. */
  inputs(action: string): Record<string, string>[] {
    return this.#sandbox
      .read(`${action}.jsonl`)
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, string>);
  }

  #action(name: string, inputs: Record<string, string>, run = "", outputs: object = {}): string {
    const sandbox = this.#sandbox;
    const env = { INPUTS: "${{ toJSON(inputs) }}", RECORD: sandbox.path(`${name}.jsonl`) };
    const input = `input() { jq -r --arg name "$1" '.[$name]' <<<"$INPUTS"; }`;
    const record = `set -euo pipefail\njq -c 'del(.token, .password)' <<<"$INPUTS" >>"$RECORD"\n${input}\n${run}`;
    const steps = [{ shell: "bash", id: "it", env, run: record }];
    const declared = Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, { default: value }]));
    sandbox.write(
      `actions/${name}/action.yml`,
      JSON.stringify({ name, inputs: declared, outputs, runs: { using: "composite", steps } }),
    );
    return sandbox.path("actions", name);
  }
}
