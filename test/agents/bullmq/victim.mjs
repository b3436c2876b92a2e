// A worker that dies with a job in hand, as one does when memory runs out.
import { Worker } from "bullmq";

new Worker("imports", () => process.kill(process.pid, "SIGKILL"), {
  connection: { url: process.env.REDIS_URL },
  lockDuration: 500,
  stalledInterval: 300, // the workers of a queue share it: the first to look decides
});
