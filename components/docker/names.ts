/** What Docker accepts as names: the vocabulary that config schemas are made of. */
import { pattern } from "../schema.ts";

/** Where a Docker engine answers. TCP is left out: whoever reaches an engine is root on its host. */
export const dockerHost = pattern(
  /^(unix:\/\/\/[^\s:]+|ssh:\/\/([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[1-9][0-9]{0,4})?)$/,
  "where a Docker engine answers: ssh://USER@HOST, or unix:///var/run/docker.sock for this machine's",
);

/** An image by an exact tag, with its digest or without. */
export const imageReference = pattern(
  /^(?!.*:latest(@|$))[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?$/,
  "an image with an exact tag, better with its digest too, such as redis:8.6.7-alpine@sha256:...; latest is none",
);

/** The label by which a container tells the resource that it is. */
export const resourceLabel = "io.esteira.resource";
