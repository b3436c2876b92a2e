// One replica of a program that works off queues with BullMQ and has the agent
// in it. The first replica (KEPT_ROLE=first) also adds the jobs that jobs.go
// lists, once the agents of all replicas listen. It says "done" when BullMQ has
// ended them all; each replica ends when its standard input does.
import { fork } from "node:child_process";
import { once } from "node:events";
import { FlowProducer, Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const { JOBVIZ_ENDPOINT, JOBVIZ_API_KEY, KEPT_AGENT, KEPT_REPLICAS, KEPT_ROLE, REDIS_URL } = process.env;
const { initJobviz, jobviz, stopJobviz } = await import(KEPT_AGENT);

const connection = { url: REDIS_URL };
const queues = ["emails", "reports", "albums", "thumbnails", "imports"];
const closers = [];

function work(queue, handle, options) {
  const worker = new Worker(queue, handle, { connection, ...options });
  worker.on("error", (e) => console.error(`${queue}: ${e.message}`));
  closers.push(worker);
}

// The handlers, by job name. What they do is small and real enough to fail.
const handlers = {
  "send-email": async (job) => ({ messageId: `<${job.id}@example.com>`, order: job.data.order }),

  "bounce": async () => {
    JSON.parse("{ not json");
  },

  "flaky": async (job) => {
    if (job.attemptsMade < 2) throw new Error(`connection reset (attempt ${job.attemptsMade + 1})`);
    return "sent";
  },

  "monthly-report": async (job) => {
    jobviz.log(job, "reading rows");
    await job.updateProgress(40);
    jobviz.log(job, "writing 報告", { rows: 12 });
    await job.updateProgress({ page: 2, of: 2 });
    return { pages: 2 };
  },

  "reminder": async () => null,
  "thumbnail": async (job) => ({ width: job.data.width }),
  "album": async (job) => Object.values(await job.getChildrenValues()).length,
  "import": async () => "imported by the second worker",
};
const handle = (job) => handlers[job.name](job);

const agent = initJobviz({
  apiKey: JOBVIZ_API_KEY,
  endpoint: JOBVIZ_ENDPOINT,
  queues,
  redisUrl: REDIS_URL,
  flushInterval: 100,
  onError: (error, dropped) => console.error(`agent dropped ${dropped} events: ${error.message}`),
});
for (const queue of ["emails", "reports", "albums", "thumbnails"]) work(queue, handle);
if (KEPT_ROLE === "first") await first();

process.stdin.resume();
await once(process.stdin, "end");
await Promise.all(closers.map((c) => c.close()));
await stopJobviz();
process.exit(0);

async function first() {
  await agentsListen();
  agent.trackDeployment({ version: "1.4.2", commitHash: "0b1c2d3" });

  const emails = open("emails");
  const reports = open("reports");
  const imports = open("imports");
  const jobs = [
    await emails.add(
      "send-email",
      { to: "客户@例え.jp", order: "9007199254740993", total: "12345678901234567890.01", traceId: "trace-mail-ok" },
      { jobId: "mail-ok" },
    ),
    await emails.add("bounce", { to: "nobody@example.com" }, { jobId: "mail-bounce", attempts: 3 }),
    await emails.add("flaky", { correlationId: "trace-mail-retry" }, {
      jobId: "mail-retry",
      attempts: 3,
      backoff: { type: "fixed", delay: 200 },
    }),
    await reports.add("monthly-report", { month: "2026-01" }, { jobId: "report-steps" }),
    await reports.add("reminder", {}, { jobId: "report-later", delay: 400 }),
    await stalled(imports),
    await flow(),
  ];
  await ended(jobs);
  console.log("done");
}

function open(name) {
  const queue = new Queue(name, { connection });
  closers.push(queue);
  return queue;
}

// ended asks until all jobs are over. BullMQ's waitUntilFinished can miss the
// end of a job that ends while it begins to listen.
async function ended(jobs) {
  for (const job of jobs) {
    while (!["completed", "failed"].includes(await job.getState())) await soon();
  }
}

function soon() {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

// agentsListen waits until each queue's event stream has a blocked reader for
// each replica. An agent says nowhere that it is ready, and what happens before
// it is, it misses.
async function agentsListen() {
  const redis = new Redis(REDIS_URL);
  const want = queues.length * Number(KEPT_REPLICAS);
  for (;;) {
    const clients = (await redis.client("LIST")).split("\n");
    if (clients.filter((line) => line.includes("cmd=xread")).length >= want) break;
    await soon();
  }
  await redis.quit();
}

// stalled adds a job whose first worker dies with it in hand, and then starts
// the worker that finds it.
async function stalled(imports) {
  const job = await imports.add("import", { file: "contacts.csv" }, { jobId: "import-stalled" });
  const victim = fork(new URL("victim.mjs", import.meta.url), { stdio: "inherit" });
  await once(victim, "exit");
  work("imports", handle, { stalledInterval: 300, lockDuration: 1000 });
  return job;
}

async function flow() {
  const flows = new FlowProducer({ connection });
  closers.push(flows);
  const child = (id, width) => ({ name: "thumbnail", queueName: "thumbnails", data: { width }, opts: { jobId: id } });
  const tree = await flows.add({
    name: "album",
    queueName: "albums",
    data: { title: "夏" },
    opts: { jobId: "album-1" },
    children: [child("thumb-1", 120), child("thumb-2", 240)],
  });
  return tree.job;
}
