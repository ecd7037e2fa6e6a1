/** Handlers: a repository's webhooks. */
import type { Call, Drift } from "../stand-in/api.ts";
import {
  type Body,
  base,
  drift,
  type Handlers,
  notFound,
  page,
  type Repository,
  type State,
  ValidationFailed,
} from "./state.ts";

export interface Webhook {
  id: number;
  active: boolean;
  events: string[];
  config: Config;
  /** It signs what is delivered. The API tells whether there is one, and nobody which. */
  secret?: string | undefined;
  created_at: string;
  updated_at: string;
}

interface Config {
  url: string;
  content_type: string;
  insecure_ssl: string;
}

export function webhooks(state: State): Handlers {
  const one = (call: Call): Webhook =>
    state.repository(call).webhooks.get(Number(call.params["hook_id"])) ?? notFound();
  const reply = (call: Call, webhook: Webhook) => view(state, call, state.repository(call), webhook);
  return {
    "repos/list-webhooks": (call) =>
      page(call, [...state.repository(call).webhooks.values()], (some) => some.map((each) => reply(call, each))),
    "repos/get-webhook": (call) => ({ body: reply(call, one(call)) }),
    "repos/create-webhook": (call) => {
      const repository = state.repository(call);
      const { config, events = ["push"], active = true } = (call.body ?? {}) as Body<"repos/create-webhook">;
      const now = state.now();
      const webhook = { id: state.nextId(), active, events, ...settings(config), created_at: now, updated_at: now };
      refuseTaken(repository, webhook);
      repository.webhooks.set(webhook.id, webhook);
      const body = reply(call, webhook);
      return { status: 201, headers: { location: body.url }, body };
    },
    "repos/update-webhook": (call) => {
      const old = one(call);
      const body = (call.body ?? {}) as Body<"repos/update-webhook">;
      const without = new Set(body.remove_events);
      const events = [...new Set([...(body.events ?? old.events), ...(body.add_events ?? [])])];
      const webhook: Webhook = {
        ...old,
        active: body.active ?? old.active,
        events: events.filter((event) => !without.has(event)),
        // A config that does not repeat the secret takes it away.
        ...(body.config && settings(body.config)),
        updated_at: state.now(),
      };
      const repository = state.repository(call);
      refuseTaken(repository, webhook);
      repository.webhooks.set(old.id, webhook);
      return { body: reply(call, webhook) };
    },
    "repos/delete-webhook": (call) => {
      state.repository(call).webhooks.delete(one(call).id);
      return {};
    },
  };
}

/** What a config says, and what GitHub takes for what it does not say. @throws Refusal 422 */
function settings(config: Body<"repos/create-webhook">["config"] = {}): Pick<Webhook, "config" | "secret"> {
  const { url, content_type = "form", insecure_ssl = "0", secret } = config;
  if (!url) throw invalid("Config must contain URL for webhooks");
  return { config: { url, content_type, insecure_ssl: String(insecure_ssl) }, secret: secret || undefined };
}

/** Webhooks of one config share no event. @throws Refusal 422 */
function refuseTaken(repository: Repository, { id, config, events }: Webhook): void {
  for (const other of repository.webhooks.values()) {
    if (other.id === id || JSON.stringify(other.config) !== JSON.stringify(config)) continue;
    if (other.events.some((event) => events.includes(event))) throw invalid("Hook already exists on this repository");
  }
}

const invalid = (message: string) => new ValidationFailed({ resource: "Hook", code: "custom", message });

function view(state: State, call: Call, repository: Repository, webhook: Webhook) {
  const { id, active, events, config, secret, created_at, updated_at } = webhook;
  const url = `${base(call)}/repos/${state.owner.login}/${repository.name}/hooks/${id}`;
  return {
    type: "Repository",
    id,
    name: "web",
    active,
    events,
    config: { ...config, ...(secret !== undefined && { secret: "********" }) },
    updated_at,
    created_at,
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: { code: null, status: "unused", message: null },
  };
}

/** Their secrets too, as a vault's. */
export const webhookSnapshot = ({ webhooks }: Repository) =>
  [...webhooks.values()]
    .map(({ active, events, config, secret }) => ({ ...config, events: events.toSorted(), active, secret }))
    .sort((a, b) => (`${a.url} ${a.events}` < `${b.url} ${b.events}` ? -1 : 1));

export const webhookDrifts = (state: State, repository: Repository): Drift[] =>
  [...repository.webhooks.values()].flatMap((webhook) => {
    const { id, active, config, events, secret } = webhook;
    const where = `${repository.name} ${config.url}`;
    // The end of its address: a provider may keep the URL to itself.
    const object = `/hooks/${id}`;
    const change = (kind: string, values: Partial<Webhook>, limits?: Pick<Drift, "unseen">) =>
      drift(kind, where, object, () => Object.assign(webhook, values, { updated_at: state.now() }), limits);
    const configured = (kind: string, values: Partial<Config>) => change(kind, { config: { ...config, ...values } });
    return [
      drift("webhook deleted", where, object, () => repository.webhooks.delete(id)),
      change(active ? "webhook switched off" : "webhook switched on", { active: !active }),
      change("webhook of other events", { events: events.includes("push") ? ["fork"] : ["push"] }),
      configured("webhook sent elsewhere", { url: "https://elsewhere.invalid/" }),
      configured("webhook in another form", { content_type: config.content_type === "json" ? "form" : "json" }),
      ...(config.insecure_ssl === "0" ? [configured("webhook that trusts anybody", { insecure_ssl: "1" })] : []),
      ...(secret === undefined
        ? []
        : [
            change("webhook without its secret", { secret: undefined }),
            change(
              "webhook's secret set anew",
              { secret: "set by somebody else" },
              { unseen: "GitHub answers ********, in place of which the provider keeps the value of its state" },
            ),
          ]),
    ];
  });
