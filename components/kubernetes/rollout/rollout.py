"""Rolls a Deployment out to another image, watches it, and goes back to the revision before where it turns out bad.

Reads COMMAND, NAMESPACE, DEPLOYMENT, CONTAINER, IMAGE, KUBECONFIG_BASE64 (else KUBECONFIG names a file), RUNNER_TEMP,
GITHUB_OUTPUT, GITHUB_STEP_SUMMARY and ROLLBACK_SECONDS (300), BLIND_SECONDS (120: how long the API server may be away).

COMMAND=deploy also reads, durations in seconds:
  HEALTH_URL                   what is asked for its health; without it HEALTH_PATH (/health) of SERVICE is, such as
                               http:orders:http, through the API server
  SMOKE_PATHS, READY           JSON lists: paths there that must answer 2xx, and workloads such as statefulset/mysql
                               that must be ready, both within SMOKE_SECONDS (60)
  CANARY                       a Deployment that gets the image first, where not empty: CANARY_REPLICAS (1) pods of it
                               are watched for CANARY_SECONDS (120); CANARY_SERVICE, if any, reaches them alone
  SETTLE_SECONDS (60)          how long an earlier rollout is waited for
  ROLLOUT_SECONDS (300)        how long this one may take
  WATCH_SECONDS (600)          how long it is watched then, with a probe each PROBE_SECONDS (10), which waits for an
                               answer PROBE_TIMEOUT_SECONDS (5)
  IN_A_ROW (3)                 so many lost probes on end are too many, and so are
  LOST (4), OF (10)            so many of so many, and
  RESTARTS (2)                 so many restarts of one container, and
  UNAVAILABLE_SECONDS (60)     so long with fewer available pods than are wanted
Outputs previous-revision (empty where nothing was to be rolled out), previous-image and previous-replica-set before it
changes anything, and result: deployed, unchanged, rolled-back or failed.

COMMAND=rollback goes back to PREVIOUS_REVISION if the Deployment still runs IMAGE. Outputs result: nothing or the same.
"""

import base64
import collections
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ENV = {name: value.strip() for name, value in os.environ.items()}
STARTED = time.monotonic()
REVISION = "deployment.kubernetes.io/revision"
secrets: set[str] = set()  # what no message may show
facts: dict[str, str] = {}  # rows of the summary
left_behind: list[str] = []  # commands that take away what this program could not


class Refused(Exception):
    """Nothing was changed, and nothing will be."""

    def __init__(self, title, message):
        super().__init__(message)
        self.title = title


class Bad(Exception):
    """The new version is not good."""


class Blind(Bad):
    """Nor can it be said to be: the API server has been away for too long."""


class Overtaken(Exception):
    """Somebody else has changed the Deployment: what it runs now is theirs."""


class NoWayBack(Exception):
    """The rollback did not succeed: a person has to do it, by these commands."""

    def __init__(self, message, *commands):
        super().__init__(message)
        self.commands = commands


class Cancelled(BaseException):
    """The run was cancelled: there are some seconds left."""


class Lost(Exception):
    """One question to the API server without its answer."""

    def __init__(self, message, status=0):
        super().__init__(message)
        self.status = status


def clean(text, length=600):
    for each in sorted(secrets, key=len, reverse=True):
        text = text.replace(each, "***")
    return re.sub(r"\s+", " ", re.sub(r"[^ -~\n]", " ", text)).strip()[:length]


def say(text):
    print(f"{time.monotonic() - STARTED:7.1f} s  {clean(text)}", flush=True)


@contextlib.contextmanager
def group(title):
    print(f"::group::{title}", flush=True)
    try:
        yield
    finally:
        print("::endgroup::", flush=True)


def output(**values):
    if path := ENV.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{name.replace('_', '-')}={value}\n" for name, value in values.items())


def end(code, level, title, message, commands=()):
    """The end of the run: one annotation, and the summary."""
    message = clean(message, 3000)
    if left_behind:
        message += f" The canary {CANARY} STILL RUNS, a person has to scale it to 0."
    commands = [*left_behind, *commands]
    told = "\n".join([message, *commands]).replace("%", "%25").replace("\n", "%0A")
    print(f"::{level} title={title}::{told}", flush=True)
    if path := ENV.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"### {title}: {DEPLOYMENT} in {NAMESPACE}\n\n{message}\n\n")
            if commands:
                file.write("```sh\n" + "\n".join(commands) + "\n```\n\n")
            rows = {"Image": f"`{IMAGE}`", **facts, "Ended": f"{clock()}, after {time.monotonic() - STARTED:.0f} s"}
            file.write("| | |\n| --- | --- |\n")
            file.writelines(f"| {name} | {clean(text).replace('|', ' ')} |\n" for name, text in rows.items())
    sys.exit(code)


def clock():
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


def needed(name):
    if not ENV.get(name):
        raise Refused("Not deployed", f"{name} is empty or not set: it comes from the workflow's step")
    return ENV[name]


def number(name, default):
    """A number out of the environment, 0 or more. Seconds may have fractions, so that tests have a faster clock."""
    try:
        value = float(ENV.get(name) or default)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise Refused("Not deployed", f"{name} is {ENV[name]!r}: expected a number, 0 or more")
    return value


def listed(name):
    try:
        values = json.loads(ENV.get(name) or "[]")
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise Refused("Not deployed", f'{name} is no JSON list of texts, such as ["/health"]')
    return values


def safe(url):
    at = urllib.parse.urlsplit(url)
    return at.scheme == "https" or (at.scheme == "http" and at.hostname in ("127.0.0.1", "localhost"))


class Signals:
    """GitHub cancels by SIGINT, 7.5 s later SIGTERM, 2.5 s later by an end without a word. The first one counts."""

    came = told = shielded = False

    def __init__(self):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self.handle)

    def handle(self, *_):
        # By the system itself: Python's own handlers are gone while it ends, and the second one would be its end.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        self.came = True
        self.tell()

    def tell(self):
        if self.came and not self.told and not self.shielded:
            self.told = True
            raise Cancelled

    @contextlib.contextmanager
    def shield(self):
        """A change is not cut off halfway: whether it was made would not be known."""
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False
            self.tell()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Cluster:
    """The API server. Questions go through one `kubectl proxy`: it renews a short-lived token by itself, and shows the
    status of an answer and a redirect, which `kubectl get --raw` would follow, token in hand."""

    def __init__(self, folder):
        if not shutil.which("kubectl"):
            raise Refused("No kubectl", "There is no kubectl on PATH: GitHub's runners have one, this one needs one")
        self.folder, self.proxy = folder, None
        os.environ.pop("KUBECONFIG_BASE64", None)  # no other program's
        if text := ENV.get("KUBECONFIG_BASE64"):
            os.environ["KUBECONFIG"] = str(self.written(text))
        elif not ENV.get("KUBECONFIG"):
            raise Refused("No kubeconfig", f"KUBECONFIG_BASE64 is empty: {MEND} puts it into the environment's secrets")
        self.check()

    def written(self, text):
        """The kubeconfig as a file for this user alone."""
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
            found = re.findall(
                r"\b(?:token|password|client-key-data)[\"']?: *[\"']?([^\s\"',}]{16,})", content.decode()
            )
        except ValueError:
            raise Refused("No kubeconfig", f"KUBECONFIG_BASE64 is no text in base64: {MEND} writes it again") from None
        secrets.update((text, *found))
        path = self.folder / "kubeconfig"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        return path

    def check(self):
        # What kubectl says of a file that it cannot read may be a line of it.
        seen = subprocess.run(
            ["kubectl", "config", "view", "--minify", "--output=json"], check=False, capture_output=True, timeout=30
        )
        if seen.returncode != 0 or not json.loads(seen.stdout).get("clusters"):
            why = "The kubeconfig cannot be read, or has no current context. What it holds is not shown"
            raise Refused("No kubeconfig", f"{why}: {MEND} writes it again")

    def start(self):
        self.stop()
        path = self.folder / "proxy"
        path.unlink(missing_ok=True)
        command = ["kubectl", "proxy", f"--unix-socket={path}", "--reject-methods=^(POST|PUT|PATCH|DELETE)$"]
        with open(self.folder / "proxy.log", "wb") as log:
            # In a session of its own, no signal for this program is for it too.
            self.proxy = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), contextlib.closing(UnixConnection(path, 1)) as connection:
                return connection.connect()
            if self.proxy.poll() is not None or time.monotonic() > until:
                raise Lost(f"kubectl proxy does not start: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self):
        return (self.folder / "proxy.log").read_text(encoding="utf-8", errors="replace")[-300:]

    def stop(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.proxy = None

    def ask(self, path, timeout, read=True):
        """The status of an answer, of any status, and its text. Raises Lost without one."""
        if not self.proxy or self.proxy.poll() is not None:
            self.start()
        connection = UnixConnection(self.folder / "proxy", timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace") if read else ""
        except TimeoutError:
            raise Lost(f"no answer within {timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()

    def get(self, path, timeout=10):
        status, text = self.ask(path, timeout)
        try:
            found = json.loads(text)
        except ValueError:
            found = {"message": text}
        if status == 200:
            return found
        # Why there are no credentials is what the plugin has said.
        words = self.last_words() if "getting credentials" in text else found.get("message") or text
        raise Lost(f"status {status}: {words}", status)


def kubectl(*args, seconds=15):
    """Runs it to its end. Returns its exit code, what it printed, and the end of what it says is wrong."""
    command = ["kubectl", f"--namespace={NAMESPACE}", *args]
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"kubectl {args[0]}: no end within {seconds:g} s"
    return done.returncode, done.stdout, clean(done.stderr)[-400:]


# What kubectl says where another attempt would come to the same.
FINAL = re.compile(r"\((Forbidden|NotFound|Invalid|BadRequest)\)|unable to find (container|specified revision)|paused")


def change(*args):
    """A change, tried again for as long as the API server may be away: each of ours may be made twice."""
    until, said = time.monotonic() + BLIND, ""
    while True:
        with signals.shield():
            code, out, wrong = kubectl(*args, "--request-timeout=10s")
        if code == 0:
            return out
        if FINAL.search(wrong) or time.monotonic() > until:
            raise Lost(wrong or f"kubectl {args[0]} failed without a word")
        if wrong != said:
            say(f"kubectl {args[0]}: {wrong}; trying again")
            said = wrong
        time.sleep(PAUSE)


class View:
    """A Deployment as it is now, with its ReplicaSets and the pods of the newest."""

    def __init__(self, name, brief=False):
        deployment = cluster.get(f"{APPS}/deployments/{name}", timeout=3 if brief else 10)
        spec, status = deployment["spec"], deployment.get("status", {})
        self.template, self.paused = spec["template"], spec.get("paused", False)
        self.image = image_of(self.template)
        self.wanted, self.history = spec.get("replicas", 1), spec.get("revisionHistoryLimit", 10)
        self.revision = revision_of(deployment)
        self.updated, self.available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
        seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        # All pods are of the newest revision; whether they are available is another matter.
        self.taken_over = seen and status.get("replicas", 0) == self.updated == self.wanted
        self.complete = self.taken_over and self.available >= self.wanted
        # Since when it does not progress any more, else empty.
        self.overdue = "".join(
            each["lastUpdateTime"]
            for each in status.get("conditions", [])
            if seen and each.get("reason") == "ProgressDeadlineExceeded"
        )
        self.sets, self.pods = {}, []
        if brief:
            return
        selector = [f"{key}={value}" for key, value in spec["selector"]["matchLabels"].items()]
        found = self.owned(f"{APPS}/replicasets", selector, deployment)
        self.sets = {revision_of(each): each for each in found}
        if newest := self.sets.get(self.revision):
            selector.append(f"pod-template-hash={newest['metadata']['labels']['pod-template-hash']}")
            self.pods = self.owned(f"/api/v1/namespaces/{NAMESPACE}/pods", selector, newest)

    def owned(self, path, selector, owner):
        query = urllib.parse.urlencode({"labelSelector": ",".join(selector)})
        uid = owner["metadata"]["uid"]
        return [
            each
            for each in cluster.get(f"{path}?{query}")["items"]
            if any(of["uid"] == uid for of in each["metadata"].get("ownerReferences", []))
        ]

    def containers(self, *kinds):
        for pod in self.pods:
            for kind in kinds or ("initContainerStatuses", "containerStatuses"):
                for each in pod.get("status", {}).get(kind, []):
                    yield pod["metadata"], each, each.get("state", {}).get("waiting", {})

    def restarts(self):
        # An init container that waited for a database is not counted.
        return {
            (pod["uid"], each["name"]): each["restartCount"] for pod, each, _ in self.containers("containerStatuses")
        }

    def troubles(self):
        """What containers wait for, such as an image that is not there."""
        return sorted(
            {
                f"{each['name']}: {waiting['reason']} {waiting.get('message', '')}".strip()
                for _, each, waiting in self.containers()
                if waiting.get("reason") not in STARTING
            }
        )

    def __str__(self):
        state = "paused, " if self.paused else ""
        counts = f"{state}{self.updated} of {self.wanted} pods have its template, {self.available} are available"
        return "; ".join([counts, *self.troubles()])


STARTING = (None, "ContainerCreating", "PodInitializing")


def image_of(template):
    return {each["name"]: each["image"] for each in template["spec"]["containers"]}.get(CONTAINER, "")


def revision_of(thing):
    return int(thing["metadata"].get("annotations", {}).get(REVISION, 0))


class Sight:
    """Looks at Deployments, and bears it if the API server does not answer for a while."""

    since = None

    def look(self, name):
        """The view; None if it cannot be had now. Raises Blind after too long."""
        try:
            view = View(name)
        except Lost as lost:
            if lost.status == 404:
                raise Overtaken(f"deployment/{name} is not there any more") from None
            now = time.monotonic()
            if self.since is None:
                self.since = now
                say(f"the API server cannot be asked: {lost}")
            if now - self.since > BLIND:
                raise Blind(
                    f"it cannot be watched: for {BLIND:g} s the API server could not be asked ({lost})"
                ) from None
            return None
        if self.since is not None:
            self.since = None
            say("the API server answers again")
        return view

    def surely(self, name):
        while not (view := self.look(name)):
            time.sleep(PAUSE)
        return view


class Direct(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


HTTP = urllib.request.build_opener(Direct)


def answer_of(path, service):
    """None for an answer of 2xx, else what was the matter. A redirect is none: who knows what answers there."""
    if service:
        at = f"/api/v1/namespaces/{NAMESPACE}/services/{service}/proxy{path}"
        try:
            status, _ = cluster.ask(at, PROBE_TIMEOUT, read=False)
        except Lost as lost:
            return str(lost)
    else:
        asked = urllib.request.Request(urllib.parse.urljoin(HEALTH_URL, path), headers={"User-Agent": "rollout"})
        try:
            with HTTP.open(asked, timeout=PROBE_TIMEOUT) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            return f"no answer within {PROBE_TIMEOUT:g} s" if late else clean(f"{type(reason).__name__}: {reason}", 120)
    if 200 <= status < 300:
        return None
    return f"status {status}, a redirect" if 300 <= status < 400 else f"status {status}"


class Probe:
    """One question that is asked again and again."""

    def __init__(self, path, service):
        self.path, self.service = path, service
        self.what = path if service in ("", SERVICE) else f"{path} of {service}"
        self.last = collections.deque([], int(OF))
        self.good, self.lost, self.row = 0, collections.Counter(), 0

    def ask(self):
        return answer_of(self.path, self.service)

    def count(self, problem):
        """Raises Bad for one too many."""
        if bool(problem) != bool(self.row):
            say(f"{self.what}: {problem or 'answers again'}")
        self.row = self.row + 1 if problem else 0
        self.last.append(bool(problem))
        if not problem:
            self.good += 1
            return
        self.lost[problem] += 1
        if self.row >= IN_A_ROW:
            raise Bad(f"{self.what} failed {self.row} times in a row, at last: {problem}")
        if sum(self.last) >= LOST:
            raise Bad(f"{self.what} failed {sum(self.last)} of the last {len(self.last)} times, at last: {problem}")


class Watch:
    """Looks at a Deployment of the new version for a time."""

    def __init__(self, name, probes, restarts, is_ours):
        self.name, self.probes, self.before, self.is_ours = name, probes, restarts, is_ours
        self.short_since, self.wanted = None, 0

    def run(self, seconds):
        """Raises Bad. Never ends between a lost probe and the next one."""
        until = time.monotonic() + seconds
        while not self.once() or time.monotonic() < until:
            # A steady beat, whatever an answer took.
            time.sleep(max(0.0, self.next - time.monotonic()))

    def once(self):
        """Whether all is well."""
        self.next = time.monotonic() + PROBE
        problems = [(probe, probe.ask()) for probe in self.probes]
        # After the probes: if now the API server does not answer, what was asked through it tells nothing.
        view = sight.look(self.name)
        for probe, problem in problems:
            if view or not (problem and probe.service):
                probe.count(problem)
        if not view:
            return False
        self.is_ours(view)
        self.judge(view)
        return self.short_since is None and not any(probe.row for probe in self.probes)

    def judge(self, view):
        for (uid, container), count in view.restarts().items():
            if (restarted := count - self.before.get((uid, container), 0)) >= RESTARTS:
                raise Bad(f"a container {container} of {self.name} restarted {restarted} times")
        for pod, each, waiting in view.containers():
            if waiting.get("reason") == "CrashLoopBackOff":
                raise Bad(f"{each['name']} of {pod['name']} crashes again and again (CrashLoopBackOff)")
        now = time.monotonic()
        if view.available >= view.wanted:
            if self.short_since is not None:
                say(f"{self.name}: all {view.wanted} pods are available")
            self.short_since = None
        elif self.short_since is None or view.wanted > self.wanted:
            # An autoscaler that asks for more pods gives them time to start.
            self.short_since = now
            say(f"{self.name}: {view}")
        elif now - self.short_since >= UNAVAILABLE:
            raise Bad(f"{self.name} had too few pods for {UNAVAILABLE:g} s: {view}")
        self.wanted = view.wanted


def roll_out(name, seconds, is_ours, stale=""):
    """Waits until a rollout is complete. One before it may have missed its deadline: that is stale."""
    until = time.monotonic() + seconds
    while True:
        left = max(until - time.monotonic(), 1)
        code, _, wrong = kubectl("rollout", "status", f"deployment/{name}", f"--timeout={left:.1f}s", seconds=left + 10)
        view = sight.look(name)
        if view:
            is_ours(view)
            if code == 0 and view.complete:
                return view
            if view.overdue not in ("", stale):
                raise Bad(f"{name} did not progress any more (progressDeadlineSeconds): {view}")
            if time.monotonic() >= until:
                raise Bad(f"{name} was not rolled out within {seconds:g} s: {view}; {wrong}")
        time.sleep(PAUSE)


def by_hand(*commands):
    return [f"kubectl --namespace {NAMESPACE} {each}" for each in commands]


def undo(revision):
    return ("rollout", "undo", f"deployment/{DEPLOYMENT}", f"--to-revision={revision}")


LOOK = "rollout status deployment/{}"
LOWER = ("scale", "--replicas=0")


class Way:
    """The way to the new version, and back."""

    def __init__(self, view, back_to, previous_image=""):
        self.start, self.back_to, self.previous_image = view.template, back_to, previous_image
        self.template = self.revision = None  # ours, once they are known
        self.changed = self.canary_up = self.undone = self.good = False
        self.probes = []

    def probe(self, service):
        self.probes.append(Probe(HEALTH_PATH, service))
        return self.probes[-1]

    def is_ours(self, view):
        """Raises Overtaken where somebody else has changed what the Deployment runs."""
        theirs = view.image != IMAGE or (self.template is not None and view.template != self.template)
        if theirs or (self.revision and view.revision > self.revision):
            now = f"revision {view.revision}, {view.image}"
            raise Overtaken(f"deployment/{DEPLOYMENT} was changed by somebody else: now {now}")

    def untouched(self, view):
        """Whether our change, of which no answer came back, was never made."""
        return self.template is None and view.template == self.start

    def lower_canary(self):
        if not self.canary_up:
            return
        try:
            change(*LOWER, f"deployment/{CANARY}")
        except Lost as lost:
            facts["Canary"] = f"{CANARY}, not scaled back to 0: {lost}"
            say(facts["Canary"])
            left_behind.extend(by_hand(f"{' '.join(LOWER)} deployment/{CANARY}"))
        else:
            facts["Canary"] = f"{CANARY}, scaled back to 0"
            say(f"{CANARY} is scaled back to 0")
        self.canary_up = False

    def go_back(self):
        """Rolls back to the very revision. Raises Overtaken or NoWayBack."""
        cluster.stop()  # whatever is the matter with it, the next one begins anew
        sight.since = None
        again = by_hand(" ".join(undo(self.back_to)), LOOK.format(DEPLOYMENT))
        try:
            view = sight.surely(DEPLOYMENT)
            if self.untouched(view):
                self.changed = False
                return
            self.is_ours(view)
            target = view.sets.get(self.back_to)
            if not target:
                gone = f"revision {self.back_to} is not there any more (revisionHistoryLimit is {view.history})"
                image = self.previous_image or "THE IMAGE OF BEFORE"
                raise NoWayBack(
                    gone,
                    *by_hand(f"set image deployment/{DEPLOYMENT} {CONTAINER}={image}", LOOK.format(DEPLOYMENT)),
                )
            if view.paused:
                why = f"deployment/{DEPLOYMENT} was paused by somebody else"
                raise NoWayBack(why, *by_hand(f"rollout resume deployment/{DEPLOYMENT}"), *again)
            say(f"rolling back to revision {self.back_to}")
            change(*undo(self.back_to))
            self.undone = True
            view = roll_out(DEPLOYMENT, ROLLBACK, lambda now: same_template(now, target), view.overdue)
        except (Bad, Lost) as problem:
            raise NoWayBack(str(problem), *again) from None
        name = target["metadata"]["name"]
        if view.sets.get(view.revision, target)["metadata"]["name"] != name:
            raise NoWayBack(f"revision {view.revision} is not of the ReplicaSet {name}", *again)
        facts["Rolled back to"] = f"revision {self.back_to} (now {view.revision}), ReplicaSet {name}, `{view.image}`"
        say(f"{DEPLOYMENT} runs {view.image} again, ReplicaSet {name}")

    def hurry(self):
        """What is left to do after a cancellation, all at once, within some seconds."""
        said, todo = [], []
        if self.canary_up:
            todo.append((f"{CANARY} is scaled back to 0", (*LOWER, f"deployment/{CANARY}")))
        if self.good:
            said.append("the new version was found good before, and stays")
        elif self.undone:
            said.append(f"the rollback to revision {self.back_to} was under way, and was not waited for")
        elif not self.changed:
            said.append(f"deployment/{DEPLOYMENT} was not touched")
        else:
            back = (f"the rollback to revision {self.back_to} was started, and not waited for", undo(self.back_to))
            try:
                view = View(DEPLOYMENT, brief=True)
                if self.untouched(view):
                    said.append(f"deployment/{DEPLOYMENT} was not touched")
                else:
                    self.is_ours(view)
                    todo.append(back)
            except Overtaken as overtaken:
                said.append(f"{overtaken}, so it was left alone")
            except Lost as lost:
                say(f"the API server cannot be asked, it is rolled back all the same: {lost}")
                todo.append(back)
        running = [
            subprocess.Popen(
                ["kubectl", f"--namespace={NAMESPACE}", "--request-timeout=4s", *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            for _, args in todo
        ]
        until, commands = time.monotonic() + 5, []
        for (what, args), process in zip(todo, running, strict=True):
            wrong = "no answer came in time"
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, wrong = process.communicate(timeout=max(until - time.monotonic(), 0.1))
            if process.returncode == 0:
                said.append(what)
            else:
                said.append(f"IT IS NOT SURE that {what}: {wrong}")
                commands += by_hand(" ".join(args))
        output(result="failed")
        end(1, "error", "Cancelled", f"The run was cancelled: {'; '.join(said)}.", commands)


def same_template(view, replica_set):
    """Raises Overtaken where a Deployment is not of the template of a ReplicaSet."""
    template = json.loads(json.dumps(replica_set["spec"]["template"]))
    template["metadata"]["labels"].pop("pod-template-hash", None)
    if view.template != template:
        raise Overtaken(f"deployment/{DEPLOYMENT} was changed by somebody else during the rollback: now {view.image}")


def first_view():
    """The Deployment, or a refusal that tells the mend."""
    try:
        view = View(DEPLOYMENT)
    except Lost as lost:
        titles = {404: "No Deployment", 403: "Not allowed", 401: "Not known to the cluster"}
        mends = {
            404: f"{MEND} makes it",
            403: f"{MEND} gives the deployer its Role",
            401: f"The token has ended, or is of another environment: {MEND} renews what it comes from",
        }
        mend = mends.get(lost.status, "If the cluster is there, run the failed jobs again")
        raise Refused(titles.get(lost.status, "Cluster not reached"), f"{lost}. {mend}") from None
    if not view.image:
        raise Refused(
            "No such container", f"deployment/{DEPLOYMENT} has no container {CONTAINER}: {MEND} makes them agree"
        )
    if view.paused:
        resume = by_hand(f"rollout resume deployment/{DEPLOYMENT}")[0]
        why = "so nothing that it is given is rolled out. When whoever paused it is done"
        raise Refused("Paused", f"deployment/{DEPLOYMENT} is paused, {why}: `{resume}`")
    return view


def remember():
    """The Deployment now, and the revision to go back to: of what serves, where a rollout before this one got stuck."""
    view = first_view()
    if view.history == 0:
        why = "has revisionHistoryLimit 0, so no revision could be gone back to"
        raise Refused("No way back", f"deployment/{DEPLOYMENT} {why}: give it some, then {MEND}")
    if view.image == IMAGE:
        return view, None
    if not view.taken_over and not view.overdue:
        say(f"an earlier rollout is still in progress: {view}")
        until = time.monotonic() + SETTLE
        while not view.taken_over and not view.overdue and time.monotonic() < until:
            time.sleep(PAUSE)
            view = sight.surely(DEPLOYMENT)
    serving = [
        revision
        for revision, each in view.sets.items()
        if revision != view.revision and each.get("status", {}).get("availableReplicas")
    ]
    revision = max(serving) if serving and not view.taken_over else view.revision
    if revision not in view.sets:
        why = f"has no ReplicaSet of its revision {revision} (yet)"
        raise Refused("No way back", f"deployment/{DEPLOYMENT} {why}: run this job again")
    if revision != view.revision:
        say(f"revision {view.revision}, {view.image}, never took over; revision {revision} serves")
    elif not view.complete:
        say(f"not all is well before the rollout either: {view}")
    return view, revision


def deploy():
    view, revision = remember()
    target = view.sets[revision] if revision else None
    previous = image_of(target["spec"]["template"]) if target else view.image
    name = target["metadata"]["name"] if target else ""
    facts["Before"] = f"revision {revision}, `{previous}`, ReplicaSet {name}" if target else "the same image"
    facts["Started"] = clock()
    output(previous_revision=revision or "", previous_image=previous, previous_replica_set=name)
    way = Way(view, revision, previous)
    try:
        conclude(way, view)
    except Cancelled:
        tally(way)
        way.hurry()


def conclude(way, view):
    """Deploys, or goes back; says which."""
    try:
        bad = verdict(way, view)
        tally(way)
        if not bad:
            output(result="deployed" if way.back_to else "unchanged")
            title, what = (
                ("Deployed", "is deployed") if way.back_to else ("Nothing to roll out", "was deployed already")
            )
            end(0, "notice", title, f"{IMAGE} {what}, and was good for {WATCH:g} s.")
        facts["Reason"] = str(bad)
        say(f"BAD: {bad}")
        with group("Rollback"):
            way.lower_canary()
            if way.changed and way.back_to:
                way.go_back()
        output(result="rolled-back" if way.undone else "failed")
        if way.undone:
            now = f"Revision {way.back_to} runs again"
            end(
                1,
                "error",
                "Rolled back",
                f"{IMAGE} is {'in doubt' if isinstance(bad, Blind) else 'bad'}: {bad}. {now}.",
            )
        if way.back_to:
            end(1, "error", "Not deployed", f"{IMAGE}: {bad}. deployment/{DEPLOYMENT} was not touched.")
        why = "it ran before this step already, so there is no revision of before to go back to"
        end(1, "error", "Not good", f"{IMAGE}: {bad}. It was not rolled back: {why}.")
    except Overtaken as overtaken:
        way.lower_canary()
        tally(way)
        output(result="failed")
        mend = (
            "Nothing was rolled back over them: find out who it was, and run the workflow again if it is still wanted"
        )
        end(1, "error", "Changed by somebody else", f"{overtaken}. {mend}.")
    except NoWayBack as problem:
        output(result="failed")
        message = f"{IMAGE} is not good: {facts['Reason']}. And the rollback failed: {problem}. A person has to do it:"
        end(1, "error", "NOT ROLLED BACK", message, problem.commands)


def verdict(way, view):
    """None for good, or what is bad: a failure of this program too, which would leave nobody to watch."""
    try:
        advance(way, view)
    except Bad as bad:
        return bad
    except (Overtaken, Refused):
        raise
    except Exception as error:  # noqa: BLE001
        return Blind(f"it cannot be watched: {type(error).__name__}: {error}")
    return None


def tally(way):
    good = sum(each.good for each in way.probes)
    lost = sum((each.lost for each in way.probes), collections.Counter())
    reasons = ", ".join(f"{count} x {reason}" for reason, count in lost.most_common())
    facts["Probes"] = f"{good} good, {lost.total()} lost" + (f" ({reasons})" if reasons else "")


def advance(way, view):
    """Canary, rollout, smoke test and watch. Raises Bad where it is not good."""
    restarts = view.restarts()
    if way.back_to:
        if CANARY:
            with group(f"Canary {CANARY}"):
                try_canary(way)
        with group(f"Rollout of {IMAGE}"):
            set_image(way)
            way.revision = roll_out(DEPLOYMENT, ROLLOUT, way.is_ours, view.overdue).revision
            facts["Rolled out"] = f"{clock()}, revision {way.revision}"
            say(f"revision {way.revision} is rolled out")
            way.lower_canary()
    else:
        with group("Nothing to roll out"):
            say(f"{IMAGE} is deployed already, as revision {view.revision}: it is only looked at")
            way.template, way.revision = view.template, view.revision
            roll_out(DEPLOYMENT, ROLLOUT, way.is_ours)
    with group("Smoke test"):
        smoke()
    with group(f"Watch for {WATCH:g} s"):
        Watch(DEPLOYMENT, [way.probe(SERVICE)], restarts, way.is_ours).run(WATCH)
        way.good = True
        say("good")


def set_image(way):
    # A canary takes its time, in which somebody may have deployed.
    if (view := sight.surely(DEPLOYMENT)).template != way.start:
        raise Overtaken(f"deployment/{DEPLOYMENT} was changed by somebody else: now {view.image}")
    way.changed = True
    try:
        out = change("set", "image", f"deployment/{DEPLOYMENT}", f"{CONTAINER}={IMAGE}", "--output=json")
    except Lost as lost:
        if not FINAL.search(str(lost)):
            raise Blind(f"the image cannot be set: {lost}") from None
        way.changed = False
        way.lower_canary()
        mend = f"{MEND} gives the deployer its Role"
        raise Refused("Not allowed", f"deployment/{DEPLOYMENT} cannot be given an image: {lost}. {mend}") from None
    # Nothing is printed where an attempt before had been heard after all.
    way.template = json.loads(out)["spec"]["template"] if out.strip() else sight.surely(DEPLOYMENT).template


def try_canary(way):
    def is_ours(view):
        if view.image != IMAGE or view.wanted != CANARY_REPLICAS:
            now = f"{view.wanted} pods of {view.image}"
            raise Overtaken(f"deployment/{CANARY} was changed by somebody else: now {now}")

    try:
        change("set", "image", f"deployment/{CANARY}", f"{CONTAINER}={IMAGE}")
        way.canary_up = True
        change("scale", f"--replicas={CANARY_REPLICAS}", f"deployment/{CANARY}")
    except Lost as lost:
        way.lower_canary()
        raise Refused("No canary", f"deployment/{CANARY}: {lost}. {MEND} makes it, and gives the right") from None
    facts["Canary"] = CANARY
    roll_out(CANARY, ROLLOUT, is_ours)
    say(f"{CANARY} has {CANARY_REPLICAS} pods of it")
    probes = [way.probe(each) for each in (SERVICE, CANARY_SERVICE) if each or not SERVICE]
    Watch(CANARY, probes, {}, is_ours).run(CANARY_WATCH)
    say("the canary is good")


def smoke():
    until = time.monotonic() + SMOKE
    while True:
        problems = [f"{path}: {problem}" for path in SMOKE_PATHS if (problem := answer_of(path, SERVICE))]
        problems += [f"{each}: {problem}" for each in READY if (problem := not_ready(each))]
        if not problems:
            return say(f"{len(SMOKE_PATHS)} paths answer, {len(READY)} workloads are ready")
        if sight.look(DEPLOYMENT) and time.monotonic() > until:
            raise Bad(f"the smoke test did not succeed within {SMOKE:g} s: {'; '.join(problems)}")
        time.sleep(PAUSE)


def not_ready(workload):
    kind, _, name = workload.partition("/")
    try:
        found = cluster.get(f"{APPS}/{kind}s/{name}")
    except Lost as lost:
        return str(lost)
    status = found.get("status", {})
    wanted = found["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    if kind == "daemonset":
        wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return "not seen by its controller yet"
    return None if ready >= wanted else f"{ready} of {wanted} ready"


def rollback():
    def nothing(why):
        output(result="nothing")
        end(0, "notice", "Nothing rolled back", f"{why}.")

    revision = ENV.get("PREVIOUS_REVISION", "")
    if not revision:
        nothing(f"No revision of before: the run that wanted {IMAGE} rolled nothing out")
    if not revision.isdecimal():
        what = f"PREVIOUS_REVISION is {revision!r}: expected the output previous-revision of the rollout"
        raise Refused("Not rolled back", what)
    view = first_view()
    way = Way(view, int(revision))
    try:
        if view.image != IMAGE:
            now = f"{view.image} (revision {view.revision})"
            nothing(f"deployment/{DEPLOYMENT} does not run {IMAGE} any more, but {now}")
        facts["Before"] = f"revision {view.revision}, `{view.image}`"
        way.template, way.revision, way.changed = view.template, view.revision, True
        with group("Rollback"):
            way.go_back()
        output(result="rolled-back")
        end(0, "warning", "Rolled back", f"A later step failed, so revision {revision} runs again instead of {IMAGE}.")
    except Overtaken as overtaken:
        output(result="failed")
        end(1, "error", "Changed by somebody else", f"{overtaken}. Nothing was rolled back over them.")
    except NoWayBack as problem:
        output(result="failed")
        end(1, "error", "NOT ROLLED BACK", f"{problem}. A person has to do it:", problem.commands)
    except Cancelled:
        way.hurry()


DEPLOYMENT, NAMESPACE, IMAGE = (ENV.get(name, "") for name in ("DEPLOYMENT", "NAMESPACE", "IMAGE"))
MEND = "`pulumi up`"
signals, sight = Signals(), Sight()
cluster = None
work = Path(tempfile.mkdtemp(prefix="rollout-", dir=ENV.get("RUNNER_TEMP") or None))
try:
    for each in ("NAMESPACE", "DEPLOYMENT", "IMAGE"):
        needed(each)
    CONTAINER = needed("CONTAINER")
    APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
    BLIND, ROLLBACK, PROBE = number("BLIND_SECONDS", 120), number("ROLLBACK_SECONDS", 300), number("PROBE_SECONDS", 10)
    PAUSE = PROBE / 5
    CANARY, CANARY_SERVICE = ENV.get("CANARY", ""), ENV.get("CANARY_SERVICE", "")
    CANARY_REPLICAS, CANARY_WATCH = int(number("CANARY_REPLICAS", 1)), number("CANARY_SECONDS", 120)
    SETTLE, ROLLOUT, SMOKE = number("SETTLE_SECONDS", 60), number("ROLLOUT_SECONDS", 300), number("SMOKE_SECONDS", 60)
    WATCH, PROBE_TIMEOUT = number("WATCH_SECONDS", 600), number("PROBE_TIMEOUT_SECONDS", 5)
    IN_A_ROW, LOST, OF = number("IN_A_ROW", 3), number("LOST", 4), number("OF", 10)
    RESTARTS, UNAVAILABLE = number("RESTARTS", 2), number("UNAVAILABLE_SECONDS", 60)
    SMOKE_PATHS, READY = listed("SMOKE_PATHS"), listed("READY")
    HEALTH_URL = ENV.get("HEALTH_URL", "")
    SERVICE = "" if HEALTH_URL else ENV.get("SERVICE", "")
    HEALTH_PATH = ENV.get("HEALTH_PATH") or urllib.parse.urlsplit(HEALTH_URL).path or "/health"
    command = {"deploy": deploy, "rollback": rollback}[needed("COMMAND")]
    if command is deploy and not SERVICE and not safe(needed("HEALTH_URL")):
        raise Refused("Not deployed", f"HEALTH_URL is {HEALTH_URL}: expected a URL with https")
    cluster = Cluster(work)
    command()
except Cancelled:
    end(1, "error", "Cancelled", "The run was cancelled before anything was changed.")
except Refused as refused:
    output(result="failed")
    end(1, "error", refused.title, str(refused))
finally:
    if cluster:
        cluster.stop()
    shutil.rmtree(work, ignore_errors=True)
