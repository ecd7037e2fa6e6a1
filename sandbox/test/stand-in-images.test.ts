import assert from "node:assert/strict";
import { type Declared, standIns } from "../docker/stand-in-images.ts";

const container = (inputs: object): Declared => ({
  type: "docker:index/container:Container",
  name: "x",
  inputs: { image: "flow:3", ...inputs },
});
const image = (name: string): Declared => ({
  type: "docker:index/remoteImage:RemoteImage",
  name: "x",
  inputs: { name },
});

/** What a script of the only image does when it is called so. */
function callsOf(...containers: Declared[]): string[] {
  const [made, ...others] = standIns(containers);
  assert.deepEqual(others, []);
  return Object.entries(made!.files!)
    .filter(([path]) => !path.startsWith("/etc/"))
    .flatMap(([path, text]) =>
      [...text.matchAll(/^(.*)\) ?(.*) ;;$/gm)].map(([, args, does]) => `${path} ${args}: ${does}`),
    );
}

describe("the stand-ins for declared images", () => {
  it("are one for each reference, whoever names it", () => {
    const declared = [
      image("ledger:17@sha256:12"),
      image("flow:3"),
      container({}),
      container({}),
      container({ image: "orders:1" }),
      container({ image: "[computed]" }),
      { type: "docker:index/network:Network", name: "x", inputs: { name: "net" } },
    ];
    const names = standIns(declared).map(({ name }) => name);
    assert.deepEqual(names, ["flow:3", "ledger:17@sha256:12", "orders:1"]);
  });

  it("wait whatever they are given, but for the command of what ends", () => {
    const declared = [
      container({ command: ["flow", "migrate"], mustRun: false }),
      container({ command: ["flow", "serve"] }),
    ];
    assert.deepEqual(standIns(declared)[0]!.entrypoint, ["/stand-in"]);
    assert.deepEqual(callsOf(...declared), [
      "/stand-in 'flow'' ''migrate': exit 0",
      "/stand-in 'flow'' ''serve': ",
      "/stand-in *: ",
    ]);
  });

  it("have what a container is started by, and a shell that runs only what nobody declared", () => {
    const start = { entrypoints: ["/bin/bash", "-c"], command: ["it's"] };
    const check = { tests: ["CMD-SHELL", "flow state | grep -q up"] };
    const [bash, flow] = [container({ ...start, healthcheck: check }), container({ entrypoints: ["/opt/flow", "x"] })];
    assert.deepEqual(callsOf(bash, flow), [
      "/stand-in *: ",
      "/bin/bash '-c'' ''it'\\''s': ",
      '/bin/bash *: exec /bin/busybox sh "$@"',
      `/bin/sh '-c'' ''flow state | grep -q up': exec /bin/busybox sh -n "$@"`,
      '/bin/sh *: exec /bin/busybox sh "$@"',
      "/opt/flow 'x': ",
      "/opt/flow *: exit 0",
    ]);
  });

  it("take what only an up knows for anything, after what is known", () => {
    const declared = [
      container({ entrypoints: ["flow"], command: ["--key", "[secret]"] }),
      container({ entrypoints: ["flow"], command: ["--key", "none"], mustRun: false }),
      container({ entrypoints: ["ledger"], command: "[computed]" }),
    ];
    assert.deepEqual(callsOf(...declared), [
      "/stand-in *: ",
      "/bin/flow '--key'' ''none': exit 0",
      "/bin/flow '--key'' '*: ",
      "/bin/flow *: exit 0",
      "/bin/ledger *: ",
      "/bin/ledger *: exit 0",
    ]);
  });

  it("know the users and groups that containers name", () => {
    const declared = [container({ user: "flow:staff", groupAdds: ["docker", "999"] }), container({ user: "1000:0" })];
    assert.deepEqual(standIns(declared)[0]!.files, {
      "/etc/passwd": "root:x:0:0::/:/bin/sh\nflow:x:1000:1000::/:/bin/sh\n",
      "/etc/group": "root:x:0:\nflow:x:1000:\nstaff:x:1001:\ndocker:x:1002:\n",
      "/stand-in": standIns([container({})])[0]!.files!["/stand-in"],
    });
  });

  it("are refused where the same call is to wait and to end", () => {
    const declared = [container({ command: ["go"] }), container({ command: ["go"], mustRun: false })];
    const message = "the stand-in of flow:3 cannot tell when /stand-in 'go' waits and when it ends";
    assert.throws(() => standIns(declared), { message });
  });
});
