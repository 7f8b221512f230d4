// A server of npm @modelcontextprotocol/sdk with express, for the doctor to look at.
//
//     doctor-typescript.mjs ISSUER FAULT
//
// Prints `listening on URL` and serves until its standard input ends. FAULT is `none`, or one of those
// that are looked for below.
import express from "express";
import cors from "cors";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from "@modelcontextprotocol/sdk/server/auth/router.js";

const [issuer, fault] = process.argv.slice(2);
const is = (name) => fault === name;
process.stdin.resume().on("end", () => process.exit());

const app = express();
const listening = app.listen(0, "127.0.0.1", () => serve(listening.address().port));

async function serve(port) {
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  const place = new URL(getOAuthProtectedResourceMetadataUrl(url));
  const answer = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  const oauthMetadata = await answer.json();
  const keys = createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));

  const verifier = {
    async verifyAccessToken(token) {
      if (is("any-token")) return { token, clientId: "x", scopes: [], expiresAt: 4e9 };
      try {
        const { payload } = await jwtVerify(token, keys, {
          issuer,
          ...(is("no-audience-check") ? {} : { audience: url.href }),
        });
        const scopes = (payload.scope ?? "").split(" ");
        return { token, clientId: payload.client_id, scopes, expiresAt: payload.exp };
      } catch (error) {
        throw is("plain-error") ? error : new InvalidTokenError("The token is not valid");
      }
    },
  };
  const guard = requireBearerAuth({
    verifier,
    ...(is("no-pointer") ? {} : { resourceMetadataUrl: is("relative-pointer") ? place.pathname : place.href }),
  });

  const browsers = { exposedHeaders: ["WWW-Authenticate", "Mcp-Session-Id"] };
  if (!is("cors-inside")) app.use(is("cors-default") ? cors() : cors(browsers));
  if (is("html")) {
    app.use("/.well-known", (request, response) => response.send("<!doctype html><p>Application"));
  }
  if (is("open")) {
    app.use("/mcp", (request, response, next) =>
      request.headers.authorization ? guard(request, response, next) : next(),
    );
  } else if (is("query")) {
    app.use("/mcp", (request, response, next) => {
      const { access_token: token } = request.query;
      if (token) request.headers.authorization = `Bearer ${token}`;
      next();
    });
    app.use("/mcp", guard);
  } else if (is("post-only")) {
    app.post("/mcp", guard);
    app.get("/mcp", (request, response) => {
      response.setHeader("Content-Type", "text/event-stream");
      response.flushHeaders();
    });
  } else if (!is("no-guard")) {
    app.use("/mcp", guard);
  }
  if (is("cors-inside")) app.use(cors(browsers));
  const resource = is("slash") ? new URL(`${url.href}/`) : url;
  app.use(
    mcpAuthMetadataRouter({
      oauthMetadata: is("issuer-slash") ? { ...oauthMetadata, issuer: `${issuer}/` } : oauthMetadata,
      resourceServerUrl: resource,
      scopesSupported: ["mcp:read"],
    }),
  );
  app.use(express.json());
  app.post("/mcp", async (request, response) => {
    const server = new McpServer({ name: "typescript", version: "1" });
    server.registerTool("echo", { description: "Says it again" }, () => ({
      content: [{ type: "text", text: "echo" }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on("close", () => transport.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  app.all("/mcp", (request, response) => response.status(405).end());
  console.log(`listening on ${url.href}`);
}
