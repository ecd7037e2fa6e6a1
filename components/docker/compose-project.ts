import { createHash } from "node:crypto";
import * as docker from "@pulumi/docker";
import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  type Resource,
  RunError,
  secret,
} from "@pulumi/pulumi";
import { type DeletionPolicy, keeps } from "../protection.ts";
import {
  type Condition,
  checkProject,
  containerName,
  interpolated,
  logging,
  type Mount,
  nameOf,
  type Project,
  type Seconds,
  type Service,
  variablesIn,
} from "./compose.ts";
import { resourceLabel } from "./names.ts";

/** Arguments of {@link ComposeProject}. */
export interface ComposeProjectArgs {
  project: Project;
  /** The value of each of the project's variables; all of them are secret. */
  values: Readonly<Record<string, Input<string>>>;
  /** Whether its volumes may be deleted, which hold what cannot be made again. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/** Seconds until a container that does not become healthy fails the `up`. */
const waitTimeout = 300;

/**
 * A project's networks, volumes, images and containers, made by the Docker provider on the host that it is
 * configured for. Containers bear the labels of Compose, so `docker compose --project-name NAME ps` and `logs` work there; each is
 * created once what it depends on is in the state that it asks for.
 * The `up` ends where one that runs once does not succeed.
 * @throws Error when a service asks for something that the project does not have, or a variable has no value; the
 * message names both
 * @example
 * new ComposeProject("shop", { project, values: { DB_PASSWORD: password.result } })
 * @see https://docs.docker.com/reference/compose-file/
 */
export class ComposeProject extends ComponentResource {
  /** The containers by service. */
  readonly containers: Readonly<Record<string, docker.Container>>;

  constructor(name: string, args: ComposeProjectArgs, opts?: ComponentResourceOptions) {
    super("esteira:docker:ComposeProject", name, {}, opts);
    const { project, values, deletionPolicy } = args;
    checkProject(project);
    for (const variable of Object.keys(project.variables)) {
      if (values[variable] === undefined) {
        throw new Error(`Compose project ${project.name}: the variable ${variable} has no value`);
      }
    }
    const parent = { parent: this };
    const labelled = (kind: "network" | "volume", thing: string) =>
      labels({ [`com.docker.compose.${kind}`]: thing, "com.docker.compose.project": project.name });

    const networks = new Map(
      Object.entries(project.networks).map(([network, { internal }]) => [
        network,
        new docker.Network(
          `${name}-${network}`,
          { name: nameOf(project.name, network), internal, labels: labelled("network", network) },
          parent,
        ),
      ]),
    );
    const volumes = new Map(
      project.volumes.map((volume) => [
        volume,
        new docker.Volume(
          `${name}-${volume}`,
          { name: nameOf(project.name, volume), labels: labelled("volume", volume) },
          { parent: this, protect: keeps(deletionPolicy) },
        ),
      ]),
    );
    const images = new Map(
      [...new Set(Object.values(project.services).map(({ image }) => image))].map((image) => [
        image,
        // Other containers of the host may run on it: it stays when this project goes.
        new docker.RemoteImage(`${name}-${image.split("@")[0]}`, { name: image, keepLocally: true }, parent),
      ]),
    );

    const containers: Record<string, docker.Container> = {};
    for (const [key, service] of inOrder(project)) {
      const mounts = service.volumes ?? [];
      const needs: Resource[] = [
        images.get(service.image)!,
        ...service.networks.map((network) => networks.get(network)!),
        ...mounts.flatMap((mount) => (mount.type === "volume" ? [volumes.get(mount.source)!] : [])),
        ...Object.keys(service.depends_on ?? {}).map((other) => containers[other]!),
      ];
      const resource = `${name}-${key}`;
      const ends = Object.entries(service.depends_on ?? {})
        .filter(([, { condition }]) => condition === "service_completed_successfully")
        .map(([other]) => succeeded(containers[other]!, containerName(project.name, other)));
      const dependsOnLabel = Object.entries(service.depends_on ?? {})
        .map(([other, { condition }]) => `${other}:${condition satisfies Condition}:false`)
        .join(",");
      containers[key] = new docker.Container(
        resource,
        {
          ...containerArgs(key, service, project, values),
          labels: labels({
            "com.docker.compose.config-hash": createHash("sha256").update(JSON.stringify(service)).digest("hex"),
            "com.docker.compose.container-number": "1",
            // The provider waits for an end, whatever it was: so what comes after it asks.
            "com.docker.compose.depends_on": ends.length > 0 ? all(ends).apply(() => dependsOnLabel) : dependsOnLabel,
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": project.name,
            "com.docker.compose.service": key,
            [resourceLabel]: resource,
          }),
        },
        { parent: this, dependsOn: needs },
      );
    }
    this.containers = containers;
    this.registerOutputs();
  }
}

/** Services, each after those that it depends on. */
function inOrder({ name, services }: Project): [string, Service][] {
  const done = new Map<string, Service>();
  const add = (key: string, path: readonly string[]) => {
    if (done.has(key)) return;
    if (path.includes(key)) throw new Error(`Compose project ${name}: ${[...path, key].join(" depends on ")}`);
    for (const other of Object.keys(services[key]!.depends_on ?? {})) add(other, [...path, key]);
    done.set(key, services[key]!);
  };
  for (const key of Object.keys(services)) add(key, []);
  return [...done];
}

function containerArgs(
  key: string,
  service: Service,
  project: Project,
  values: ComposeProjectArgs["values"],
): docker.ContainerArgs {
  const resolved = (text: string) => resolve(text, values);
  const once = service.restart === "no";
  const grace = service.stop_grace_period === undefined ? undefined : Number.parseInt(service.stop_grace_period, 10);
  return {
    name: containerName(project.name, key),
    image: service.image,
    entrypoints: service.entrypoint && [...service.entrypoint],
    command: service.command?.map(resolved),
    envs: Object.entries(service.environment ?? {}).map(([variable, text]) => resolved(`${variable}=${text}`)),
    healthcheck: service.healthcheck && {
      tests: [...service.healthcheck.test],
      interval: duration(service.healthcheck.interval),
      timeout: duration(service.healthcheck.timeout),
      retries: service.healthcheck.retries,
      startPeriod: service.healthcheck.start_period && duration(service.healthcheck.start_period),
    },
    // What waits for a container waits for its health, or for its end.
    ...(service.healthcheck && { wait: true, waitTimeout }),
    ...(once && { attach: true, mustRun: false }),
    restart: service.restart,
    networksAdvanced: service.networks.map((network) => ({ name: nameOf(project.name, network), aliases: [key] })),
    ports: service.ports?.map(({ published, target }) => ({ external: published, internal: target })),
    ...mountArgs(service.volumes ?? [], project.name),
    uploads:
      service.configs &&
      Object.entries(service.configs).map(([file, content]) => ({ file, content: resolved(content) })),
    readOnly: service.read_only,
    capabilities:
      service.cap_drop || service.cap_add
        ? { drops: [...(service.cap_drop ?? [])], adds: (service.cap_add ?? []).map((each) => `CAP_${each}`) }
        : undefined,
    securityOpts: service.security_opt && [...service.security_opt],
    user: service.user,
    init: service.init,
    memory: Number.parseInt(service.mem_limit, 10),
    // As the engine tells it: else every preview would have a change.
    memorySwap: Number.parseInt(service.mem_limit, 10),
    cpus: service.cpus.includes(".") ? service.cpus : `${service.cpus}.0`,
    stopTimeout: grace,
    destroyGraceSeconds: grace,
    logDriver: logging.driver,
    logOpts: logging.options,
  };
}

const mountArgs = (mounts: readonly Mount[], project: string): Pick<docker.ContainerArgs, "volumes" | "mounts"> => {
  const volumes = mounts.flatMap((mount) => {
    if (mount.type === "tmpfs") return [];
    const from = mount.type === "volume" ? { volumeName: nameOf(project, mount.source) } : { hostPath: mount.source };
    return [{ ...from, containerPath: mount.target, readOnly: mount.read_only }];
  });
  const tmpfs = mounts.filter(({ type }) => type === "tmpfs").map(({ target }) => ({ type: "tmpfs", target }));
  return { ...(volumes.length > 0 && { volumes }), ...(tmpfs.length > 0 && { mounts: tmpfs }) };
};

/** Seconds as the provider reads them back: `90s` is `1m30s`. */
function duration(seconds: Seconds): string {
  const all = Number.parseInt(seconds, 10);
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return `${hours ? `${hours}h` : ""}${all >= 60 ? `${minutes}m` : ""}${rest}s`;
}

/** A text with the values of its variables; secret if it has any. */
function resolve(text: string, values: ComposeProjectArgs["values"]): Input<string> {
  const names = [...new Set(variablesIn(text))];
  if (names.length === 0) return interpolated(text, {});
  return secret(
    all(names.map((name) => values[name]!)).apply((known) =>
      interpolated(text, Object.fromEntries(names.map((name, index) => [name, known[index]!]))),
    ),
  );
}

/** Fails where a container that runs once has not done what it is for. */
const succeeded = (container: docker.Container, name: string): Output<void> =>
  container.exitCode.apply((code) => {
    if (code === 0) return;
    const again = `docker rm ${name}, then pulumi up --refresh`;
    throw new RunError(
      `${name} ended with ${code}, so nothing after it was changed; docker logs ${name} tells why. To try again: ${again}`,
    );
  });

const labels = (values: Record<string, Input<string>>) =>
  Object.entries(values).map(([label, value]) => ({ label, value }));
