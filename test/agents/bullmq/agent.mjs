// A stand-in for the Jobviz Node agent 0.1.1 (npm: jobviz-agent): the same
// requests and the same habits, for the BullMQ provider in shorthand mode.
// It is here so that the test runs wherever npm does; KEPT_JOBVIZ_AGENT makes
// the test use the published package instead.
//
// The habits that a server has to live with are kept on purpose:
//   - every replica sends every event, because QueueEvents are broadcast;
//   - an event is stamped when it is handed to the buffer, so one that needed a
//     look-up in Redis is stamped after later events that needed none;
//   - names come from a cache and are "unknown" when it misses;
//   - a progress or final event never carries the parent, and log lines no env.
import { Job, Queue, QueueEvents } from "bullmq";

const version = "0.1.1";
const maxBody = 5 * 1024 * 1024; // UTF-16 code units
const maxInput = 1024 * 1024;
const maxEvents = 500; // a request
const attemptTimeout = 10_000; // ms
const retryDelays = [1_000, 5_000, 15_000]; // ms
const maxRetryAfter = 60_000; // ms

// BullMQEvents turns the event streams of some queues into Jobviz events.
class BullMQEvents {
  known = new Map(); // job id → what a look-up found
  closers = [];

  constructor(config, push) {
    this.config = config;
    this.push = push;
    const connection = { url: config.redisUrl };
    for (const name of config.queues) {
      const stream = new QueueEvents(name, { connection });
      const queue = new Queue(name, { connection });
      this.listen(stream, queue);
      this.closers.push(stream, queue);
    }
  }

  listen(stream, queue) {
    const send = (event, jobId, data, more) => {
      const known = this.known.get(jobId);
      this.push({
        jobId,
        jobName: known?.name || "unknown",
        queue: queue.name,
        ...(this.config.env && { env: this.config.env }),
        event,
        timestamp: Date.now(),
        ...(data && { data }),
        ...more,
        ...(known?.traceId && { traceId: known.traceId }),
      });
    };
    stream.on("waiting", async ({ jobId }) => {
      await this.look(queue, jobId);
      send("waiting", jobId, undefined, this.known.get(jobId)?.parent);
    });
    stream.on("active", async ({ jobId }) => {
      if (!this.known.has(jobId)) await this.look(queue, jobId);
      const { input, parent } = this.known.get(jobId) ?? {};
      send("active", jobId, input && { input }, parent);
    });
    stream.on("completed", ({ jobId, returnvalue }) => {
      send("completed", jobId, { returnValue: returnvalue });
      this.known.delete(jobId);
    });
    stream.on("failed", async ({ jobId, failedReason }) => {
      const job = await Job.fromId(queue, jobId).catch(() => undefined);
      const stack = job?.stacktrace?.join("\n");
      send("failed", jobId, { failedReason, ...(stack && { stack }) });
      this.known.delete(jobId);
    });
    stream.on("delayed", ({ jobId, delay }) => send("delayed", jobId, { delay }));
    stream.on("stalled", ({ jobId }) => send("stalled", jobId));
    stream.on("progress", ({ jobId, data }) => send("progress", jobId, { progress: data }));
    stream.on("error", () => {}); // BullMQ reconnects by itself
  }

  // look remembers what later events of a job need. A job that Redis no longer
  // has, or a Redis that is away, leaves the name unknown.
  async look(queue, jobId) {
    const job = await Job.fromId(queue, jobId).catch(() => undefined);
    if (!job) return;
    const data = job.data ?? {};
    const trace = data.traceId ?? data.correlationId;
    this.known.set(jobId, {
      name: job.name,
      input: Object.keys(data).length > 0 ? bounded(data) : undefined,
      traceId: typeof trace === "string" ? trace : undefined,
      parent: job.parent?.id && {
        parentJobId: job.parent.id,
        parentQueue: job.parent.queueKey.split(":")[1] ?? job.parent.queueKey,
      },
    });
  }

  close() {
    return Promise.all(this.closers.map((c) => c.close()));
  }
}

function bounded(input) {
  return JSON.stringify(input).length > maxInput ? { _notice: "[INPUT_TOO_LARGE]" } : input;
}

// Sender posts batches, one at a time, and decides what is worth another try.
class Sender {
  constructor(config) {
    this.config = config;
    const { batchSize, flushInterval, env } = config;
    this.meta = JSON.stringify({
      batchSize,
      flushInterval,
      debug: false,
      captureInput: true,
      captureStackTraces: true,
      env,
      redactKeys: false,
      provider: "BullMQProvider",
    });
  }

  async send(events) {
    const body = JSON.stringify({ events });
    if (body.length > maxBody) return this.config.onError(new Error("batch too large"), events.length);
    let error;
    for (let attempt = 0; attempt <= retryDelays.length; attempt++) {
      const answer = await this.post(body).catch((e) => ({ error: e }));
      if (answer.ok) return;
      error = answer.error ?? new Error(`status ${answer.status}: ${await reasonOf(answer)}`);
      if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) break;
      if (attempt < retryDelays.length) await wait(retryAfter(answer) ?? retryDelays[attempt]);
    }
    this.config.onError(error, events.length);
  }

  post(body) {
    return fetch(`${this.config.endpoint}/api/v1/events`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json",
        Authorization: `Bearer ${this.config.apiKey}`,
        "X-Jobviz-Agent-Version": version,
        "X-Jobviz-Agent-Meta": this.meta,
      },
      body,
      signal: AbortSignal.timeout(attemptTimeout),
    });
  }
}

async function reasonOf(answer) {
  const text = await answer.text().catch(() => "");
  try {
    return JSON.parse(text).error ?? "";
  } catch {
    return text;
  }
}

// retryAfter reads the header of a 429 in either of its two forms.
function retryAfter(answer) {
  const header = answer.status === 429 && answer.headers.get("Retry-After");
  if (!header) return undefined;
  const ms = Number.isNaN(Number(header)) ? Date.parse(header) - Date.now() : Number(header) * 1000;
  return ms > 0 ? Math.min(ms, maxRetryAfter) : undefined;
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

class Agent {
  buffer = [];
  flushing = undefined;

  constructor(config) {
    if (!config.apiKey || config.apiKey.length < 10) throw new Error("apiKey has fewer than 10 characters");
    this.config = {
      endpoint: "https://app.jobviz.dev",
      env: process.env.NODE_ENV === "production" ? "production" : "development",
      batchSize: 100,
      flushInterval: 3000,
      maxBufferSize: 10_000,
      onError: () => {},
      ...config,
    };
    this.sender = new Sender(this.config);
    this.events = new BullMQEvents(this.config, (event) => this.push(event));
    this.timer = setInterval(() => this.flush(), this.config.flushInterval);
    this.timer.unref();
  }

  push(event) {
    if (this.buffer.length >= this.config.maxBufferSize) this.buffer.shift();
    this.buffer.push(event);
    if (this.buffer.length >= this.config.batchSize) void this.flush();
  }

  log(job, message, meta) {
    this.push({
      jobId: job.id ?? "unknown",
      jobName: job.name ?? "unknown",
      queue: job.queueName ?? "default",
      event: "progress",
      timestamp: Date.now(),
      data: { log: { message, ...(meta && { meta }) } },
    });
  }

  trackDeployment({ version, commitHash = null, description = null }) {
    this.push({
      jobId: `deploy-${crypto.randomUUID()}`,
      jobName: "deployment",
      queue: "__system",
      event: "deployment",
      timestamp: Date.now(),
      data: { version, commitHash, description },
    });
  }

  flush() {
    this.flushing ??= this.drain().finally(() => (this.flushing = undefined));
    return this.flushing;
  }

  async drain() {
    const events = this.buffer.splice(0);
    for (let i = 0; i < events.length; i += maxEvents) {
      await this.sender.send(events.slice(i, i + maxEvents));
    }
  }

  async stop() {
    clearInterval(this.timer);
    await this.flushing;
    await this.flush();
    await this.events.close();
  }
}

let agent;

export function initJobviz(config) {
  if (agent) throw new Error("initJobviz was called before");
  agent = new Agent(config);
  return agent;
}

export async function stopJobviz() {
  const stopping = agent;
  agent = undefined;
  await stopping?.stop();
}

export const jobviz = {
  log: (job, message, meta) => agent?.log(job, message, meta),
};
