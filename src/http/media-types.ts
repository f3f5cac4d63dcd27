export const ndjson = 'application/x-ndjson'
export const eventStream = 'text/event-stream'
