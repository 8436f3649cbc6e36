// Client of a dpresence service: `PresenceChannel` is one device of a user, `AppService` the backend of an application, `Account` what a
// user sees and controls. `beginPairing` and `finishPairing` connect a device without a browser.

export { Account } from "./account.js";
export { AppService } from "./app-service.js";
export { PresenceChannel, PresenceChannel as Device } from "./device/presence.js";
export {
  ClientStopped, Closed, NotConnected, OutcomeUnknown, PairingFailed, PresenceError, ProtocolError, Refused, StoreError,
} from "./errors.js";
export { beginPairing, finishPairing } from "./pairing.js";
export { MAX_NOTIFICATIONS } from "./requests.js";
export { Table } from "./table.js";
export { verifyWebhook, WebhookRefused } from "./webhooks.js";

/** @typedef {import("./account-types.js").AccountOptions} AccountOptions */
/** @typedef {import("./account-types.js").Grant} Grant */
/** @typedef {import("./account-types.js").GrantChange} GrantChange */
/** @typedef {import("./account-types.js").Hours} Hours */
/** @typedef {import("./account-types.js").InboxNotification} InboxNotification */
/** @typedef {import("./account-types.js").Link} Link */
/** @typedef {import("./account-types.js").ListedGrant} ListedGrant */
/** @typedef {import("./account-types.js").Looks} Looks */
/** @typedef {import("./account-types.js").QuietHours} QuietHours */
/** @typedef {import("./account-types.js").UserInbox} UserInbox */
/** @typedef {import("./account-types.js").UserStatus} UserStatus */
/** @typedef {import("./app-types.js").AppServiceOptions} AppServiceOptions */
/** @typedef {import("./app-types.js").AppState} AppState */
/** @typedef {import("./app-types.js").OutgoingNotification} OutgoingNotification */
/** @typedef {import("./app-types.js").Store} Store */
/** @typedef {import("./app-frames.js").Delivery} Delivery */
/** @typedef {import("./app-frames.js").Outcome} Outcome */
/** @typedef {import("./pairing.js").PairedDevice} PairedDevice */
/** @typedef {import("./pairing.js").PairingCodes} PairingCodes */
/** @typedef {import("./table.js").Change} Change */
/** @typedef {import("./table.js").Entry} Entry */
/** @typedef {import("./table.js").Stored} Stored */
/** @typedef {import("./device/presence-types.js").Notification} Notification */
/** @typedef {import("./device/presence-types.js").Options} DeviceOptions */
/** @typedef {import("./device/presence-types.js").State} DeviceState */
/** @typedef {import("./device/presence-types.js").Status} Status */
/** @typedef {import("./device/presence-types.js").Tickets} Tickets */
