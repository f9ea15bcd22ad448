// Does what it is told with the official JavaScript SDK, unchanged: a command a line in, an answer or an event a line out.
//
// A command is {id, do, client?, channel?, ...}; its answer {id, result} or {id, error: {code, message}}. What the SDK
// emits comes as {client, channel?, event, ctx}. Tokens are asked for by {client, channel?, event: "getToken", ask}, and
// given by {do: "token", ask, token}.
import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const clients = new Map();
const asked = new Map();
let asks = 0;

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

const CLIENT_EVENTS = ['connecting', 'connected', 'disconnected', 'error', 'message', 'subscribed', 'subscribing',
  'unsubscribed', 'publication', 'join', 'leave'];
const SUBSCRIPTION_EVENTS = ['subscribing', 'subscribed', 'unsubscribed', 'publication', 'join', 'leave', 'error'];

// A WebSocket that counts the frames it sends, so that a test can tell what was put into one.
class Counting extends WebSocket {
  static sent = 0;

  send(...args) {
    Counting.sent += 1;
    return super.send(...args);
  }
}

function tokens(who) {
  return () => new Promise((resolve) => {
    const ask = ++asks;
    asked.set(ask, resolve);
    say({ ...who, event: 'getToken', ask });
  });
}

function reporting(emitter, events, who) {
  for (const event of events) emitter.on(event, (ctx) => say({ ...who, event, ctx }));
}

const deeds = {
  new({ client, url, options = {}, asks: wantsTokens }) {
    const getToken = wantsTokens ? { getToken: tokens({ client }) } : {};
    const fast = { minReconnectDelay: 50, maxReconnectDelay: 200 };
    const made = new Centrifuge(url, { websocket: Counting, ...fast, ...options, ...getToken });
    reporting(made, CLIENT_EVENTS, { client });
    clients.set(client, made);
  },
  connect: ({ client }) => clients.get(client).connect(),
  async ready({ client }) { await clients.get(client).ready(); },
  disconnect: ({ client }) => clients.get(client).disconnect(),
  state: ({ client }) => clients.get(client).state,
  rpc: ({ client, method, data }) => clients.get(client).rpc(method, data),
  async batch({ client, calls }) {
    const sdk = clients.get(client);
    const before = Counting.sent;
    sdk.startBatching();
    const answers = calls.map(([method, data]) => sdk.rpc(method, data));
    sdk.stopBatching();
    return { answers: await Promise.all(answers), frames: Counting.sent - before };
  },
  subscribe({ client, channel, options = {}, asks: wantsTokens }) {
    const sdk = clients.get(client);
    const getToken = wantsTokens ? { getToken: tokens({ client, channel }) } : {};
    let subscription = sdk.getSubscription(channel);
    if (subscription === null) {
      subscription = sdk.newSubscription(channel, { minResubscribeDelay: 50, ...options, ...getToken });
      reporting(subscription, SUBSCRIPTION_EVENTS, { client, channel });
    }
    subscription.subscribe();
  },
  unsubscribe: ({ client, channel }) => clients.get(client).getSubscription(channel).unsubscribe(),
  subscriptionState: ({ client, channel }) => clients.get(client).getSubscription(channel).state,
  publish: ({ client, channel, data }) => clients.get(client).publish(channel, data),
  history: ({ client, channel, options }) => clients.get(client).getSubscription(channel).history(options),
  presence: ({ client, channel }) => clients.get(client).presence(channel),
  presenceStats: ({ client, channel }) => clients.get(client).presenceStats(channel),
  token({ ask, token }) {
    asked.get(ask)(token);
    asked.delete(ask);
  },
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, do: deed, ...rest } = JSON.parse(line);
  try {
    say({ id, result: (await deeds[deed](rest)) ?? null });
  } catch (error) {
    say({ id, error: { code: error.code ?? null, message: error.message ?? String(error) } });
  }
}).on('close', () => process.exit(0));
