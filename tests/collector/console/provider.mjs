// Runs oidc-provider on this machine: node provider.mjs FOLDER REDIRECT_URI; the first line out is the issuer.
// Anybody signs in with any password; who is called mallory has an address that is not verified.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, redirectUri] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${folder}/`)).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(found));

const GROUPS = { anna: ["staff", "indicia-admins"], bob: ["staff"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  // By name, so that browsers see another site than the console's 127.0.0.1.
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "indicia",
        client_secret: "a secret: 100% of it + more",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["groups"] },
    cookies: { keys: ["of the test"] },
    pkce: { methods: ["S256"], required: () => true },
    findAccount: async (_context, name) => ({
      accountId: name,
      claims: async () => ({
        sub: name,
        email: `${name}@example.com`,
        email_verified: name !== "mallory",
        groups: GROUPS[name] ?? [],
      }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
