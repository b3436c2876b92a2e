// An OpenID Connect provider (oidc-provider, certified) that signs in whoever
// says who he is: the login name is the subject and the address, which is not
// verified when it begins with "unverified". It ends when its input does.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const { KEPT_PORT, KEPT_REDIRECT, KEPT_CLIENT_ID, KEPT_CLIENT_SECRET, KEPT_CLAIMS } = process.env;

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(`http://127.0.0.1:${KEPT_PORT}`, {
  clients: [{
    client_id: KEPT_CLIENT_ID,
    client_secret: KEPT_CLIENT_SECRET,
    redirect_uris: [KEPT_REDIRECT],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: 'test' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: KEPT_CLAIMS !== 'id_token',
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified'), name: 'Ann Other' }),
  }),
  pkce: { required: () => true },
  features: { revocation: { enabled: true } },
});

createServer(provider.callback()).listen(Number(KEPT_PORT), '127.0.0.1', () => console.log('ready'));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
