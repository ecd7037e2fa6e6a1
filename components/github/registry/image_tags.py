"""Looks at an image's tags in a registry, or adds one, by the registry's HTTP API. A tag that exists is never moved.

Reads COMMAND, IMAGE (host/name), TAG, REVISION (the commit that the image is made of), REGISTRY_USER, REGISTRY_TOKEN,
GITHUB_OUTPUT, GITHUB_STEP_SUMMARY and, for tests, RETRY_BASE_SECONDS (2) and RETRY_MOST_SECONDS (60).

COMMAND=look decides what is to be done so that IMAGE:TAG is the image of REVISION. Also reads, where not empty:
  SOURCE      the tag of an image that TAG is to be given to; without it the image is to be built
  DONE_TAG    a tag that comes last of all: an image that has it is published, whatever TAG would be today
  SERIES      a regular expression of the tags that TAG stands in line with; its groups are numbers, by which they rank
  IF_LOWER    what to do when SERIES has a higher tag than TAG already: refuse or warn
  IF_DENIED   absent: take an image that may not be read for one that is not there (a later step looks again)
Outputs action (build, tag or nothing), source and target (for COMMAND=tag, after the build if there is one) and digest.

COMMAND=tag gives the image of SOURCE, index and all, the tag TAG under the same digest. Outputs digest.
"""

import base64
import email.utils
import hashlib
import http.client
import json
import os
import random
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ENV = {name: value.strip() for name, value in os.environ.items()}
ATTEMPTS, LARGEST = 5, 8 << 20
REVISION_KEY = "org.opencontainers.image.revision"
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("oci.image.index.v1", "docker.distribution.manifest.list.v2")
    + ("oci.image.manifest.v1", "docker.distribution.manifest.v2")
)
secrets: set[str] = set()  # what no message may show


def clean(text, length=300):
    for each in sorted(secrets, key=len, reverse=True):
        text = text.replace(each, "***")
    return re.sub(r"[^ -~]", " ", text)[:length]


def summary(text):
    if path := ENV.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def fail(title, message):
    message = clean(message, 2000)
    print(f"::error title={title}::" + message.replace("%", "%25"))
    summary(f"**{title}**: {message}")
    sys.exit(1)


def output(**values):
    with Path(ENV["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


class Denied(Exception):
    pass


class Redirect(urllib.request.HTTPRedirectHandler):
    """A blob stands on another host. The token stays here: it is a header that redirects do not take along."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not safe(newurl):
            raise urllib.error.HTTPError(req.full_url, code, "redirect to a place without TLS", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def safe(url):
    at = urllib.parse.urlsplit(url)
    return at.scheme == "https" or (at.scheme == "http" and at.hostname in ("127.0.0.1", "localhost"))


HTTP = urllib.request.build_opener(Redirect)


def wait_for(headers, attempt):
    """Seconds until the next attempt: what the registry asks for, else longer each time; never very long."""
    base = float(ENV.get("RETRY_BASE_SECONDS") or 2)
    after = (headers or {}).get("Retry-After", "").strip()
    try:
        date = None if after.isdigit() else email.utils.parsedate_to_datetime(after)
        seconds = date.timestamp() - time.time() if date else float(after)
    except (TypeError, ValueError):
        seconds = base * 2 ** (attempt - 1)
    return min(max(seconds, 0) + base * random.SystemRandom().random(), float(ENV.get("RETRY_MOST_SECONDS") or 60))


def request(method, url, headers, authorization="", body=None):
    """The status, headers and body of an answer, of any status. Not given up before some attempts."""
    for attempt in range(1, ATTEMPTS + 1):
        asked = urllib.request.Request(url, data=body, headers=headers, method=method)
        if authorization:
            asked.add_unredirected_header("Authorization", authorization)
        got = None
        try:
            with HTTP.open(asked, timeout=30) as answer:
                status, got, content = answer.status, answer.headers, answer.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            with error:
                status, got = error.code, error.headers
                try:
                    content = error.read(LARGEST)
                except (OSError, http.client.HTTPException):
                    content = b""
        except (OSError, http.client.HTTPException) as error:
            status, problem = 0, f"{type(error).__name__}: {error}"
        if status and status != 429 and status < 500:
            if len(content) > LARGEST:
                fail("Registry", f"{method} {shown(url)} answers more than {LARGEST} bytes")
            return status, got, content
        if status:
            problem = f"status {status}{said(content)}"
        if attempt == ATTEMPTS:
            fail(
                "Registry not reached",
                f"{method} {shown(url)}: {problem}, at each of {ATTEMPTS} attempts. Nothing was changed by this step "
                "that its next run does not find: run the failed jobs again later",
            )
        seconds = wait_for(got, attempt)
        print(clean(f"{method} {shown(url)}: {problem}, at attempt {attempt}; trying again in {seconds:.1f} s"))
        time.sleep(seconds)


def shown(url):
    return url.split("?")[0]


def said(content):
    """What the registry says of an error, as the end of a sentence."""
    try:
        first = json.loads(content)["errors"][0]
        return f" ({first.get('code')}: {first.get('message')})"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


class Registry:
    def __init__(self, image, actions):
        host, _, self.name = image.partition("/")
        part = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
        if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?", host) or not re.fullmatch(rf"{part}(/{part})*", self.name):
            fail("Not an image", f"IMAGE is {image!r}: expected host/name in lower case, without a tag")
        local = host.split(":")[0] in ("127.0.0.1", "localhost")
        self.url = f"{'http' if local else 'https'}://{host}/v2/{self.name}"
        self.image, self.actions, self.authorization = image, actions, ""
        if not ENV.get("REGISTRY_TOKEN"):
            fail("No token", f"REGISTRY_TOKEN is empty: {image} cannot be looked at")
        pair = f"{ENV.get('REGISTRY_USER') or 'token'}:{ENV['REGISTRY_TOKEN']}"
        self.basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        secrets.update((ENV["REGISTRY_TOKEN"], self.basic.removeprefix("Basic ")))

    def log_in(self, challenge):
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            self.authorization = self.basic
            return
        words = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = words.get("realm", "")
        if scheme.lower() != "bearer" or not safe(realm):
            fail("Registry", f"{self.image}: a way to log in that is not known: {challenge!r}")
        query = {"service": words.get("service", ""), "scope": f"repository:{self.name}:{self.actions}"}
        url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
        status, _, content = request("GET", url, {"Accept": "application/json"}, self.basic)
        if status in (401, 403):
            self.refused(status, content, "asking for a token")
        try:
            answer = json.loads(content)
            token = str(answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, AttributeError):
            fail("Registry", f"{shown(realm)} answers status {status} without a token{said(content)}")
        secrets.add(token)
        self.authorization = f"Bearer {token}"

    def refused(self, status, content, what):
        if status == 401:
            fail(
                "Registry does not know the token",
                f"{self.image}: status 401{said(content)} when {what}: REGISTRY_TOKEN is not valid (any more), or is "
                "of another registry. A job's own token ends with the job: run the failed jobs again",
            )
        right = "write" if "push" in self.actions else "read"
        raise Denied(
            f"{self.image}: status 403{said(content)} when {what}: the token is known but may not {right} this package. "
            f"The job needs `permissions: packages: {right}`; a package that was first pushed by somebody else also "
            "needs this repository in its settings: Package settings, Manage Actions access, Add repository, role "
            f"{right.capitalize()}"
        )

    def ask(self, method, path, headers=None, body=None):
        """The answer, or None where there is no such thing. 401 is answered by logging in, once."""
        for last in (False, True):
            status, got, content = request(method, f"{self.url}/{path}", headers or {}, self.authorization, body)
            if status == 401 and not last and got.get("WWW-Authenticate"):
                self.log_in(got["WWW-Authenticate"])
                continue
            break
        if status in (401, 403):
            self.refused(status, content, f"{method} {path.split('?')[0]}")
        if status == 404:
            return None
        if status >= 300:
            fail(
                "Registry", f"{self.image}: {method} {path} answers status {status}{said(content)}, as was not expected"
            )
        return got, content

    def manifest(self, reference):
        """The bytes, media type and digest of a tag's or digest's manifest, or None."""
        answer = self.ask("GET", f"manifests/{reference}", {"Accept": MANIFESTS})
        if answer is None:
            return None
        headers, content = answer
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        told = reference if ":" in reference else headers.get("Docker-Content-Digest", digest)
        if told != digest:
            fail("Registry", f"{self.image}: the manifest {reference} has the digest {digest}, not {told}")
        try:
            media_type = json.loads(content).get("mediaType") or headers.get_content_type()
        except (ValueError, AttributeError):
            fail("Registry", f"{self.image}: the manifest {reference} is no JSON object")
        return content, media_type, digest

    def revisions(self, content):
        """The commits that an image says it is made of: by its index, else its manifests, else their configs."""
        parsed = json.loads(content)
        if told := (parsed.get("annotations") or {}).get(REVISION_KEY):
            return {told}
        found = set()
        for each in parsed.get("manifests") or []:
            # What buildx says of how an image came about stands among the images, and is none.
            if (each.get("annotations") or {}).get("vnd.docker.reference.type") != "attestation-manifest":
                below = self.manifest(each["digest"])
                found |= self.revisions(below[0]) if below else set()
        if config := parsed.get("config"):
            answer = self.ask("GET", f"blobs/{config['digest']}")
            if answer and f"sha256:{hashlib.sha256(answer[1]).hexdigest()}" == config["digest"]:
                try:
                    labels = (json.loads(answer[1]).get("config") or {}).get("Labels") or {}
                except (ValueError, AttributeError):  # of something that is no image
                    labels = {}
                found |= {labels[REVISION_KEY]} if labels.get(REVISION_KEY) else set()
        return found

    def of_revision(self, tag, revision):
        """The digest of a tag's image, or None where there is none. Refuses an image of another commit."""
        found = self.manifest(tag)
        if found is None:
            return None
        content, _, digest = found
        revisions = self.revisions(content)
        if revisions != {revision}:
            made_of = " and ".join(sorted(revisions)) or f"no commit that it tells of (it has no {REVISION_KEY})"
            fail(
                "Tag is taken",
                f"{self.image}:{tag} is there already, {digest}, made of {made_of}; this run is of {revision}. A "
                "published tag is never overwritten. Publish this commit under the next number. If that image is in "
                "nobody's use and was not meant to be, delete its version on the package's page and run this job again",
            )
        return digest

    def tags(self):
        path, found = "tags/list?n=1000", []
        for _ in range(500):
            answer = self.ask("GET", path)
            if answer is None:
                return found
            headers, content = answer
            found += json.loads(content).get("tags") or []
            following = re.search(r'<([^>]+)>\s*;\s*rel="?next"?', headers.get("Link", ""))
            if not following:
                return found
            at = urllib.parse.urlsplit(urllib.parse.urljoin(f"{self.url}/", following[1]))
            path = f"tags/list?{at.query}"  # of this image, on this host, wherever the link leads
        fail("Registry", f"{self.image}: the list of tags does not end")


def look():
    image, tag, revision = ENV["IMAGE"], ENV["TAG"], ENV["REVISION"]
    source, done_tag = ENV.get("SOURCE", ""), ENV.get("DONE_TAG", "")
    registry = Registry(image, "pull")

    def nothing(found, digest):
        print(f"{image}:{found} is the image of {revision} already, {digest}: nothing to publish")
        summary(f"Nothing to publish: `{image}:{found}` is the image of `{revision}` already (`{digest}`).")
        output(action="nothing", source="", target="", digest=digest)

    if done_tag and (digest := registry.of_revision(done_tag, revision)):
        return nothing(done_tag, digest)
    if digest := registry.of_revision(tag, revision):
        if not done_tag:
            return nothing(tag, digest)
        print(f"{image}:{tag} is there, but {done_tag} is not: an earlier run was cut off, and is finished")
        return output(action="tag", source=tag, target=done_tag, digest=digest)
    if series := ENV.get("SERIES"):
        ranks = {each: rank(series, each) for each in registry.tags()}
        above = [each for each, its in ranks.items() if its and its > (rank(series, tag) or (0,))]
        if above:
            highest = max(above, key=lambda each: ranks[each])
            message = f"{image}:{highest} is published and higher than {tag}, so nothing that takes the highest would take {tag}"
            if ENV.get("IF_LOWER") != "warn":
                fail("Not the highest version", f"{message}. Publish this commit under a number above {highest}")
            print(f"::warning title=Not the highest version::{clean(message)}")
    if not source:
        return output(action="build", source=tag if done_tag else "", target=done_tag, digest="")
    if not (digest := registry.of_revision(source, revision)):
        fail(
            "Nothing to promote",
            f"{image}:{source} is not in the registry, so {tag} cannot be the image that was tested as {source}. Run "
            f"the workflow that publishes {source} again, wait until it has been tested, then run this job again",
        )
    return output(action="tag", source=source, target=tag, digest=digest)


def rank(series, tag):
    match = re.fullmatch(series, tag, re.ASCII)
    return tuple(int(number) for number in match.groups()) if match else None


def tag():
    image, source, target, revision = ENV["IMAGE"], ENV["SOURCE"], ENV["TAG"], ENV["REVISION"]
    registry = Registry(image, "pull,push")
    if registry.of_revision(source, revision) is None:
        fail("Nothing to tag", f"{image}:{source} is not in the registry, so {target} cannot become the same image")
    content, media_type, digest = registry.manifest(source)
    there = registry.manifest(target)
    if there and there[2] != digest:
        fail(
            "Tag is taken",
            f"{image}:{target} is {there[2]} already, and {source} is {digest}. A published tag is never overwritten. "
            "Publish this commit under the next number",
        )
    if not there:
        answer = registry.ask("PUT", f"manifests/{target}", {"Content-Type": media_type}, content)
        there = answer and registry.manifest(target)
        if not there or there[2] != digest:
            fail(
                "Not tagged",
                f"{image}:{target} was written but is {there[2] if there else 'not there'}; expected {digest}, as {source} is",
            )
    print(f"{image}:{target} is {digest}, as {source} is")
    output(digest=digest)


try:
    {"look": look, "tag": tag}[ENV["COMMAND"]]()
except Denied as denied:
    if ENV.get("IF_DENIED") != "absent" or ENV.get("SOURCE"):
        fail("Registry denies access", str(denied))
    print(clean(f"{denied}. A package that does not exist yet may answer so too: taken for not published", 800))
    done = ENV.get("DONE_TAG", "")
    output(action="build", source=ENV["TAG"] if done else "", target=done, digest="")
