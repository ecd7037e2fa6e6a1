/** What Render accepts as names: the vocabulary that config schemas are made of. */
import { pattern, type SecretSchema } from "../schema.ts";

/** A service's id. */
export const serviceId = pattern(
  /^srv-[0-9a-v]{20}$/,
  "a service's id, as its address in Render's Dashboard has it: srv- and 20 digits or letters from a to v",
);

/** A service's name. */
export const serviceName = pattern(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a service's name: lower-case letters, digits or hyphens",
);

/** Where Render's API and hooks answer. */
export const apiUrl = pattern(
  /^https:\/\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$/,
  "where Render's API answers: https and a host, without a path",
);

/** A service of Render's. */
export interface Service {
  /** Such as srv-d3sk5h1r0fns738ibdg0. */
  id: string;
  /** For people. */
  name: string;
}

/**
 * The secret that is a service's deploy hook.
 * @param api where hooks answer, such as https://api.render.com
 * @see https://render.com/docs/deploy-hooks
 */
export const deployHook = ({ id, name }: Service, api: string): SecretSchema => ({
  purpose: `deploy hook of ${name}, out of its settings in Render's Dashboard`,
  schema: pattern(
    new RegExp(`^${RegExp.escape(api)}/deploy/${id}\\?key=[A-Za-z0-9_-]+$`),
    `the deploy hook of ${id}: ${api}/deploy/${id}?key=..., and nothing before or after it`,
  ),
  example: `${api}/deploy/${id}?key=KEY`,
});

/** Where people look at a service. */
export const dashboard = ({ id }: Service): string => `https://dashboard.render.com/web/${id}`;
