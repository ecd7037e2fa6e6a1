/** What Argo CD itself says of sync windows, and its Image Updater's rule of tags: the programs of tools/, which `make argo-cd` builds. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { commandPath, root } from "../../cli/engine.ts";
import { Missing } from "../../sandbox/daemon.ts";

/** Whether an application may be synchronized, at instants that are steps apart. */
export interface SyncWindowsQuestion {
  /** As in an AppProject's `syncWindows`. */
  windows: object[];
  /** Its destination is a namespace of a server, or of a cluster by its name. */
  app: { name: string; namespace?: string; server?: string; clusterName?: string };
  at: {
    /** RFC 3339, 2000 or later. */
    from: string;
    stepSeconds: number;
    count: number;
  };
  /** Asks for each window by itself too. @default false */
  active?: boolean;
}

export interface SyncWindowsAnswer {
  /** A digit per instant: 1 where an automated synchronization is allowed. */
  auto: string;
  /** The same of one that somebody asks for. */
  manual: string;
  /** The indices of the windows that are the application's. */
  matches: number[];
  /** For each window a digit per instant: 1 where it is active. */
  active?: string[];
  /** For each window what Argo CD's API and CLI refuse it for, or nothing. */
  validate: string[];
  /** Why Argo CD can tell nothing: it then allows nothing. */
  error?: string;
}

export interface ImageTagsQuestion {
  constraint: string;
  /** `any`, `regexp:...`, or nothing for any. */
  allowTags: string;
  tags: string[];
}

export interface ImageTagsAnswer {
  /** From the oldest to the newest. */
  candidates: string[];
  newest?: string;
  /** A constraint that cannot be read. */
  error?: string;
}

/** By Argo CD's own functions, with the clock standing at each instant. @throws Missing @throws Error for a question it cannot read */
export const syncWindows = (questions: SyncWindowsQuestion[]): SyncWindowsAnswer[] =>
  ask("sync-windows-oracle", questions);

/** By the rule of the strategy `semver`. @throws Missing @throws Error for a question it cannot read */
export const imageTags = (questions: ImageTagsQuestion[]): ImageTagsAnswer[] => ask("image-tags-oracle", questions);

function ask<T>(name: string, questions: object[]): T[] {
  const { status, stdout, stderr } = spawnSync(builtCommand(name), {
    input: JSON.stringify(questions),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return JSON.parse(stdout) as T[];
}

/** Where `make argo-cd` builds. The machine's own of the same names may be of any version. */
export const built = join(root, ".tools/bin");

/** The path of a command. @throws Missing where `make argo-cd` has not built it */
export function builtCommand(name: string): string {
  const path = commandPath(name, [built]);
  if (!path) throw new Missing(`there is no ${name}: \`make argo-cd\` builds it`);
  return path;
}
