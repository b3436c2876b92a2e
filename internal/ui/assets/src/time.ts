// Time in the viewer's zone and in one notation that sorts: 2026-03-09 14:05:12.

const two = (n: number) => String(n).padStart(2, "0");

export function day(d: Date): string {
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export function minute(d: Date): string {
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function second(d: Date): string {
  return `${minute(d)}:${two(d.getSeconds())}`;
}

export function milli(d: Date): string {
  return `${second(d)}.${String(d.getMilliseconds()).padStart(3, "0")}`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// short is for lists: today's moments without their date, others without
// their year unless it is another one.
export function short(d: Date, now = new Date()): string {
  if (day(d) === day(now)) return second(d);
  if (d.getFullYear() === now.getFullYear()) return `${d.getDate()} ${months[d.getMonth()]} ${minute(d)}`;
  return `${day(d)} ${minute(d)}`;
}

export function ago(d: Date, now = new Date()): string {
  const s = Math.round((now.getTime() - d.getTime()) / 1000);
  const past = s >= 0;
  const text = span(Math.abs(s));
  if (text === "now") return "just now";
  return past ? `${text} ago` : `in ${text}`;
}

function span(s: number): string {
  if (s < 5) return "now";
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  if (s < 86400 * 60) return `${Math.floor(s / 86400)} d`;
  if (s < 86400 * 730) return `${Math.floor(s / (86400 * 30.44))} months`;
  return `${Math.floor(s / (86400 * 365.25))} years`;
}

export function zone(d: Date): string {
  const m = -d.getTimezoneOffset();
  if (m === 0) return "UTC";
  const a = Math.abs(m);
  return `UTC${m < 0 ? "−" : "+"}${Math.floor(a / 60)}${a % 60 ? ":" + two(a % 60) : ""}`;
}

// exact is the title of every time: all digits the server sent, with the zone.
export function exact(d: Date, iso: string): string {
  const fraction = /\.(\d+)/.exec(iso)?.[1] ?? "";
  const digits = fraction.replace(/0+$/, "").padEnd(3, "0");
  return `${day(d)} ${second(d)}.${digits} ${zone(d)}`;
}
