// The service worker of browser notifications. It only shows what the server
// has sent and opens what is clicked; it sees no other request of the site.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let message = {};
  try {
    message = event.data ? event.data.json() : {};
  } catch {
    // What cannot be read is still worth a look: say that there was something.
  }
  event.waitUntil(
    self.registration.showNotification(message.title || "Kept: an alert", {
      body: message.body || "",
      tag: message.tag || "kept",
      renotify: true,
      requireInteraction: message.stay === true,
      data: { href: message.href || "/" },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const url = new URL(event.notification.data?.href || "/", self.location.origin);
  event.waitUntil(self.clients.openWindow(url.protocol === "https:" || url.origin === self.location.origin ? url.href : "/"));
});
