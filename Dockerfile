# The service with PostgreSQL by URL. The embedded database is an optional dependency and is left out, so the image needs
# no volume: whatever it keeps is in PostgreSQL and Qdrant.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The Qdrant client names the compiler as a peer for the sake of its types; nothing runs it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && rm -rf node_modules/typescript

FROM ${NODE_IMAGE} AS service
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="AgeMem" \
      org.opencontainers.image.description="Multi-tenant memory service for LLM agents" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
ENV NODE_ENV=production \
    NODE_OPTIONS=--enable-source-maps \
    AGEMEM_HOST=0.0.0.0 \
    AGEMEM_PORT=8080
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.AGEMEM_PORT}/health/ready`, { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
