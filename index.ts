/** The program: reads the stack's config, declares its systems, exports what an auditor reads. */
import type { Audit } from "./audit/schema.ts";
import { readConfig } from "./config.ts";
import { Equidade } from "./systems/equidade/index.ts";

const { stack, github, ...config } = readConfig();

const systems = {
  ...(config.equidade && { equidade: new Equidade("equidade", { ...config.equidade, github }) }),
};

export const audit: Audit = {
  version: 1,
  stack,
  systems: Object.fromEntries(Object.entries(systems).map(([name, { facts }]) => [name, facts])),
};
