/**
 * The images that a Prefect host runs, each with its exact tag. This is the only place that names one: an update is one
 * line here. A digest is the index's, so it serves every platform.
 */
export const images = {
  postgres: "postgres:17.10-alpine@sha256:742f40ea20b9ff2ff31db5458d127452988a2164df9e17441e191f3b72252193",
  prefect: "prefecthq/prefect:3.8.8-python3.12",
  redis: "redis:8.6.7-alpine@sha256:ac2da09bc822f325a9f68f533120b86fa39c1b8db46b3aa7c1bbea7fdfd4fcba",
  traefik: "traefik:v3.7.13@sha256:24841fe2de7304c149343d877d2923b4c8800a38ba015dea9174c23b20e344a0",
};
