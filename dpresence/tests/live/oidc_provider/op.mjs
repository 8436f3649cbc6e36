// A real OpenID provider on a free port of 127.0.0.1, for test_oidc_provider.py; it prints the port. It signs with a client's
// own algorithm, and shows its development pages for sign-in and consent. Beside them:
//   GET  /__counts    how often each path was asked for
//   POST /__again     start again: ?service=<URL> with the callback, keys and logout of one more service, &rotate with new keys, &slim with the e-mail in userinfo only,
//                     &away answering nothing but 503
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const redirects = ['http://127.0.0.1:8282/login/corp/callback'];
let service = '';
const algorithms = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];
const accounts = {
  ada: { email: 'ada@example.org', email_verified: true },
  mallory: { email: 'mallory@example.org', email_verified: false },
  text: { email: 'text@example.org', email_verified: 'true' },
  far: { email: 'far@elsewhere.example', email_verified: true },
  twin: { email: 'ada@example.org', email_verified: true },
};
const counts = {};
let keys;
let answer;

function makeKeys() {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    Ed25519: generateKeyPairSync('ed25519'),
  };
  const stamp = Date.now().toString(36);
  return Object.entries(pairs).map(([name, pair]) => ({
    ...pair.privateKey.export({ format: 'jwk' }), kid: `${name}-${stamp}`, use: 'sig',
  }));
}

function client(algorithm) {
  return {
    client_id: `dpresence-${algorithm}`, client_secret: 'a secret: of 100%', redirect_uris: redirects,
    id_token_signed_response_alg: algorithm,
    ...(service && { backchannel_logout_uri: `${service}/login/corp/backchannel-logout`, backchannel_logout_session_required: true }),
  };
}

/** A client that proves who it is with a key, which the service publishes. */
function keyClient(algorithm) {
  return {
    ...client('RS256'), client_id: `key-${algorithm}`, client_secret: undefined, token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: algorithm, jwks_uri: `${service}/login/corp/jwks`,
  };
}

function start(port, { rotate = true, slim = false, away = false } = {}) {
  if (rotate) keys = makeKeys();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      ...algorithms.map(client),
      { ...client('RS256'), client_id: 'public', client_secret: undefined, token_endpoint_auth_method: 'none' },
      { ...client('RS256'), client_id: 'post', token_endpoint_auth_method: 'client_secret_post' },
      { ...client('RS256'), client_id: 'person', backchannel_logout_session_required: false },
      ...(service ? algorithms.map(keyClient) : []),
    ],
    features: { backchannelLogout: { enabled: true } },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    jwks: { keys },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: slim,
    cookies: { keys: ['only a test'] },
    enabledJWA: { idTokenSigningAlgValues: algorithms, clientAuthSigningAlgValues: algorithms },
    // the provider's own dispatcher refuses loopback, where the service is
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    pkce: { required: () => true },
    findAccount: (ctx, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
    ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, IdToken: 3600 },
  });
  answer = away ? (request, response) => response.writeHead(503).end() : provider.callback();
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (url.pathname === '/__counts') {
    response.end(JSON.stringify(counts));
  } else if (url.pathname === '/__again') {
    service = url.searchParams.get('service') ?? '';
    if (service) redirects.push(`${service}/login/corp/callback`);
    const how = ['rotate', 'slim', 'away'].map((name) => [name, url.searchParams.has(name)]);
    start(server.address().port, Object.fromEntries(how));
    response.end('{}');
  } else {
    counts[url.pathname] = (counts[url.pathname] ?? 0) + 1;
    answer(request, response);
  }
});
server.listen(0, '127.0.0.1', () => {
  start(server.address().port);
  console.log(server.address().port);
});
