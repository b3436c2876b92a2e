// duration writes seconds the way the server does.
export function duration(s: number): string {
  if (s < 0) return "−" + duration(-s);
  if (s === 0) return "0 ms";
  if (s < 0.0009995) return `${Math.round(s * 1e6)} µs`;
  if (s < 0.009995) return `${+(s * 1e3).toFixed(2)} ms`;
  if (s < 0.9995) return `${(s * 1e3).toFixed(0)} ms`;
  if (s < 9.995) return `${s.toFixed(2)} s`;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const n = Math.round(s);
  const two = (x: number) => String(Math.floor(x)).padStart(2, "0");
  if (n < 3600) return `${Math.floor(n / 60)} min ${two(n % 60)} s`;
  if (n < 86400) return `${Math.floor(n / 3600)} h ${two((n % 3600) / 60)} min`;
  return `${Math.floor(n / 86400)} d ${Math.floor((n % 86400) / 3600)} h`;
}
