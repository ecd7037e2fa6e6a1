/** The services that know what exists, asked with the settings that the providers have. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Engine } from "../engine.ts";

/** What can be asked. */
export interface Services {
  /** Whose repositories they are: the GitHub provider's setting. */
  owner: string;
  /** GitHub's REST API. @param path below the API's root; `{owner}` is the provider's */
  github(path: string): Promise<unknown>;
  /** The Docker CLI, on the provider's host. @returns what it prints @throws Error where there is no CLI, or with its words */
  docker(...args: string[]): Promise<string>;
}

/** @param config the stack's, in clear text where it is that */
export const servicesOf = (engine: Engine, stack: string, config: Record<string, string>): Services => ({
  ...githubOf(engine, stack, config),
  docker: async (...args) => {
    const host = config["docker:host"] ?? engine.env["DOCKER_HOST"];
    const { stdout } = await promisify(execFile)("docker", [...(host ? ["--host", host] : []), ...args]);
    return stdout.trim();
  },
});

function githubOf(engine: Engine, stack: string, config: Record<string, string>): Pick<Services, "owner" | "github"> {
  const setting = (key: string, variable: string) => config[key] ?? engine.env[variable] ?? process.env[variable];
  const base = setting("github:baseUrl", "GITHUB_BASE_URL") ?? "https://api.github.com/";
  // A server of one's own has the API below its address.
  const api = new URL(base).hostname === "api.github.com" ? base : new URL("api/v3/", base);
  const owner = setting("github:owner", "GITHUB_OWNER") ?? "";
  const github = async (path: string) => {
    const token =
      config["github:token"] === undefined
        ? setting("github:token", "GITHUB_TOKEN")
        : (await engine.run(["config", "get", "github:token", "--stack", stack])).trim();
    const url = new URL(path.replaceAll("{owner}", owner), api);
    const response = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (response.ok) return response.json();
    throw new Error(
      `GET ${url}: ${response.status} ${response.statusText}${token ? "" : "; there is no GITHUB_TOKEN"}`,
    );
  };
  return { owner, github };
}
