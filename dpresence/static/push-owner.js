// The end of this browser's push subscription: at sign-out, and when another person signs in. What is pushed is for one person only.

/** @typedef {(method: string, path: string, body?: unknown) => Promise<any>} Call */

/**
 * Close the notifications that the service worker has shown, and end the push subscription in the browser and at the service.
 * It never fails: a subscription that only the browser has ended is deleted when its push service refuses the next push.
 * @param {Call} call makes a call with the session
 * @param {string} root path prefix of the service
 */
export async function endPush(call, root) {
  try {
    const registration = await navigator.serviceWorker?.getRegistration(`${root}/`);
    for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
    const subscription = await registration?.pushManager?.getSubscription();
    if (!subscription) return;
    await subscription.unsubscribe();
    await deleteStored(call, subscription);
  } catch {
    // the browser has no service workers here, or the service cannot be reached
  }
}

/**
 * Delete a subscription at the service, whoever has stored it: it belongs to whoever stores it last.
 * @param {Call} call
 * @param {PushSubscription} subscription
 */
async function deleteStored(call, subscription) {
  const { key } = await call("GET", "/push");
  if (!key) return;
  const { endpoint, keys } = subscription.toJSON();
  const { id } = await call("PUT", "/push", { endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth }, key });
  await call("DELETE", `/push/${id}`);
}
