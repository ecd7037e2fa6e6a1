/**
 * What runs on one Docker host, told once in the words of the Compose Specification: {@link composeYaml} writes it as a
 * file for `docker compose up`, and ComposeProject makes the same containers by the Docker provider.
 * @see https://github.com/compose-spec/compose-spec/blob/main/05-services.md
 */
import { Document, Scalar, visit } from "yaml";

/**
 * A service: only what both ways can carry. In `environment`, `command` and the files' contents, `${NAME}` stands for a
 * value that is not in the file, and `$$` for a dollar sign.
 */
export interface Service {
  /** Reference with an exact tag, better with the digest too. */
  image: string;
  entrypoint?: readonly string[];
  command?: readonly string[];
  environment?: Readonly<Record<string, string>>;
  /** What must be there before, and in which state. */
  depends_on?: Readonly<Record<string, { condition: Condition }>>;
  healthcheck?: {
    test: readonly ["CMD" | "CMD-SHELL", ...string[]];
    interval: Seconds;
    timeout: Seconds;
    retries: number;
    start_period?: Seconds;
  };
  /** `no`: it runs once, to its end. */
  restart: "no" | "unless-stopped";
  networks: readonly string[];
  /** Ports of the host, each to one of the container. */
  ports?: readonly { published: number; target: number }[];
  volumes?: readonly Mount[];
  /** Files that are put into the container, by path. */
  configs?: Readonly<Record<string, string>>;
  /** Nothing of the image can be written. */
  read_only?: boolean;
  cap_drop?: readonly string[];
  cap_add?: readonly string[];
  security_opt?: readonly string[];
  user?: string;
  /** A small init as process 1, which forwards signals and buries orphans. */
  init?: boolean;
  /** Memory at most, in Mi: `512m`. There is no swap beyond it. */
  mem_limit: `${number}m`;
  /** CPUs at most. */
  cpus: string;
  /** Time from SIGTERM to SIGKILL. */
  stop_grace_period?: Seconds;
}

/** A duration: `30s`. */
export type Seconds = `${number}s`;

/** When a service is ready for those that depend on it. */
export type Condition = "service_started" | "service_healthy" | "service_completed_successfully";

/** What a container finds at a path. */
export type Mount =
  | { type: "volume"; source: string; target: string; read_only?: boolean }
  | { type: "bind"; source: string; target: string; read_only?: boolean }
  | { type: "tmpfs"; target: string };

/** All services of a host that belong together. */
export interface Project {
  /** Compose's name of it; networks, volumes and containers are named after it. */
  name: string;
  services: Readonly<Record<string, Service>>;
  /** Networks by name; nothing in one that is internal reaches beyond it. */
  networks: Readonly<Record<string, { internal?: boolean }>>;
  volumes: readonly string[];
  /** What `${NAME}` stands for, told to whoever has to set it. */
  variables: Readonly<Record<string, string>>;
}

/** Log files of every container: without an end they fill the disk. */
export const logging = { driver: "json-file", options: { "max-file": "3", "max-size": "10m" } } as const;

/** The name that Compose gives a network or a volume. */
export const nameOf = (project: string, thing: string): string => `${project}_${thing}`;

/** The name that Compose gives the first container of a service. */
export const containerName = (project: string, service: string): string => `${project}-${service}-1`;

/** A dollar sign, or a variable. */
const token = /\$\$|\$\{([A-Z][A-Z0-9_]*)\}/g;

/** The variables that a text asks for. */
export const variablesIn = (text: string): string[] =>
  [...text.matchAll(token)].flatMap(([, name]) => (name === undefined ? [] : [name]));

/** A text with values in the place of its variables. */
export const interpolated = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(token, (_, name: string | undefined) => (name === undefined ? "$" : values[name]!));

/** A text in which no dollar sign begins a variable. */
export const literal = (text: string): string => text.replaceAll("$", "$$$$");

/**
 * The compose.yaml of a project. A variable that is not set is refused by `docker compose`, with what it is for.
 * @param header lines of the comment at its top
 * @throws Error when a service asks for a variable that the project does not tell, or depends on what is not there
 */
export function composeYaml(project: Project, header: string): string {
  checkProject(project);
  const contents = Object.entries(project.services).flatMap(([service, { configs = {} }]) =>
    Object.entries(configs).map(([path, content]) => [configName(service, path), { content }]),
  );
  const document = new Document(
    {
      name: project.name,
      services: Object.fromEntries(
        Object.entries(project.services).map(([name, service]) => [name, composeService(name, service)]),
      ),
      networks: Object.fromEntries(
        Object.entries(project.networks).map(([network, settings]) => [
          network,
          { name: nameOf(project.name, network), ...settings },
        ]),
      ),
      volumes: Object.fromEntries(project.volumes.map((volume) => [volume, { name: nameOf(project.name, volume) }])),
      ...(contents.length > 0 && { configs: Object.fromEntries(contents) }),
    },
    // Readers of YAML 1.1 take 06:00 and 80:80 for numbers, and no for false.
    { aliasDuplicateObjects: false, compat: "yaml-1.1" },
  );
  document.commentBefore = header.replace(/^/gm, " ");
  explainVariables(document, project.variables);
  return document.toString({ lineWidth: 0 });
}

/** A service as the file has it: in the specification's forms, and with a log that ends. */
const composeService = (name: string, { configs = {}, ports = [], ...service }: Service) => ({
  ...service,
  ...(ports.length > 0 && { ports: ports.map(({ published, target }) => `${published}:${target}`) }),
  ...(Object.keys(configs).length > 0 && {
    configs: Object.keys(configs).map((path) => ({ source: configName(name, path), target: path })),
  }),
  memswap_limit: service.mem_limit,
  cpus: Number(service.cpus),
  logging,
});

const configName = (service: string, path: string) => `${service}-${path.split("/").at(-1)!.replaceAll(".", "-")}`;

/** Makes `${NAME}` say what it is for, where it is not set. */
function explainVariables(document: Document, variables: Project["variables"]): void {
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value !== "string") return;
      node.value = node.value.replace(token, (match, name: string | undefined) =>
        name === undefined ? match : `\${${name}:?${variables[name]}}`,
      );
      if ((node.value as string).includes("\n")) node.type = Scalar.BLOCK_LITERAL;
    },
  });
}

/** @throws Error that names the service and what it lacks */
export function checkProject({ name: project, services, networks, volumes, variables }: Project): void {
  for (const [name, service] of Object.entries(services)) {
    const refuse = (what: string) => {
      throw new Error(`Compose project ${project}, service ${name}: ${what}`);
    };
    const texts = [
      ...(service.command ?? []),
      ...Object.values(service.environment ?? {}),
      ...Object.values(service.configs ?? {}),
    ];
    for (const each of texts.flatMap(variablesIn))
      if (!(each in variables)) refuse(`nobody tells the variable ${each}`);
    // Compose puts a value of its shell in its place, the provider none.
    if (texts.some((text) => text.replace(token, "").includes("$"))) {
      refuse("a dollar sign begins no variable: write $$");
    }
    if ([...(service.entrypoint ?? []), ...(service.healthcheck?.test ?? [])].some((text) => text.includes("$"))) {
      refuse("a dollar sign in entrypoint or healthcheck, where nothing is put in its place");
    }
    const taken = new Map<string, string>();
    for (const path of Object.keys(service.configs ?? {})) {
      const config = configName(name, path);
      if (taken.has(config)) refuse(`configs ${taken.get(config)} and ${path} end in one name`);
      taken.set(config, path);
    }
    for (const each of service.networks) if (!(each in networks)) refuse(`there is no network ${each}`);
    for (const mount of service.volumes ?? []) {
      if (mount.type === "volume" && !volumes.includes(mount.source)) refuse(`there is no volume ${mount.source}`);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const needed = services[other];
      if (!needed) refuse(`it depends on ${other}, which is no service`);
      if (condition === "service_healthy" && !needed?.healthcheck)
        refuse(`it waits for ${other} to be healthy, which has no health check`);
      if (condition === "service_completed_successfully" && needed?.restart !== "no")
        refuse(`it waits for ${other} to complete, which is restarted`);
    }
    if (service.read_only && service.configs) refuse("read_only contradicts configs: files cannot be put into it");
    if (/(^|\/)[^/:@]+(:latest)?$/.test(service.image)) refuse(`image ${service.image} has no exact tag`);
  }
}
