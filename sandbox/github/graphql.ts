/** GitHub's other API, of which the provider asks one thing: who is in an organisation. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { GraphQLFieldResolver, GraphQLSchema } from "graphql";
import type { Call, Description, Handler } from "../stand-in/api.ts";
import { nodeId, type State, same } from "./state.ts";

/** One operation for every query: GraphQL itself says what is wrong with one, in an answer of status 200. */
export const graphqlDescription: Description = {
  match: (method, path) =>
    method === "POST" && /^(\/api)?\/graphql$/.test(path) ? { operation: "graphql", params: {} } : undefined,
  problems: () => [],
};

const require = createRequire(import.meta.url);
// The package itself reads the schema a second time as JSON of 5 MB, wherever it is imported.
const file = fileURLToPath(new URL("./schema.graphql", import.meta.resolve("@octokit/graphql-schema")));
let schema: GraphQLSchema | undefined;

/** Answers queries by GitHub's own schema, which is only read when there is one. */
export function graphql(state: State): Record<string, Handler> {
  const user = {
    id: nodeId("User", state.user.id),
    login: state.user.login,
    email: "",
  };
  const root = {
    viewer: user,
    organization: ({ login }: { login: string }) => {
      if (state.owner.type !== "Organization" || !same(login, state.owner.login)) {
        throw new Error(`Could not resolve to an Organization with the login of '${login}'.`);
      }
      const members = {
        edges: [{ role: "ADMIN", node: user }],
        nodes: [user],
        totalCount: 1,
        pageInfo: { startCursor: null, endCursor: null, hasNextPage: false, hasPreviousPage: false },
      };
      return {
        id: nodeId("Organization", state.owner.id),
        databaseId: state.owner.id,
        login: state.owner.login,
        membersWithRole: members,
      };
    },
  };
  return {
    graphql: (call: Call) => {
      const { buildSchema, graphqlSync } = require("graphql") as typeof import("graphql");
      schema ??= buildSchema(readFileSync(file, "utf8"), {
        assumeValid: true,
      });
      const { query, variables } = call.body as { query: string; variables?: Record<string, unknown> };
      const unknown: string[] = [];
      const fieldResolver: GraphQLFieldResolver<Record<string, unknown>, unknown> = (source, args, _, info) => {
        const { fieldName, parentType } = info;
        if (!(fieldName in source)) unknown.push(`${parentType.name}.${fieldName}`);
        const value = source[fieldName];
        return typeof value === "function" ? value(args) : value;
      };
      const result = graphqlSync({ schema, source: query, variableValues: variables, rootValue: root, fieldResolver });
      if (unknown.length > 0) throw new Error(`The stand-in does not know yet: ${unknown.join(", ")}`);
      return { body: result };
    },
  };
}
