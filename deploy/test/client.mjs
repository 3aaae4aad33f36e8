// A walk through MQTT with MQTT.js, for the end-to-end tests: node client.mjs JSON,
// where JSON has url, version, prefix, and options of mqtt.connect, of which ca, cert
// and key are files. It prints one line for each message that arrives, in order, and
// fails when something else does.
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const { url, version, prefix, options } = JSON.parse(process.argv[2])
for (const file of ['ca', 'cert', 'key']) {
  if (options[file]) options[file] = readFileSync(options[file])
}
const v5 = version === 5
const base = {
  ...options,
  protocolVersion: version,
  protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
  reconnectPeriod: 0,
  connectTimeout: 20_000,
}
setTimeout(() => fail('too late'), 30_000).unref()

function fail(text) {
  console.error(text)
  process.exit(1)
}

// Messages in the order of their arrival.
const inbox = []
let waiting
function arrived(topic, payload, packet) {
  const text = [topic, packet.qos, packet.retain ? 'retained' : 'live', payload.toString()]
  const p = packet.properties ?? {}
  for (const name of ['contentType', 'responseTopic', 'correlationData', 'messageExpiryInterval', 'userProperties', 'subscriptionIdentifier']) {
    if (p[name] !== undefined) text.push(`${name}=${typeof p[name] === 'object' && !Buffer.isBuffer(p[name]) ? JSON.stringify(p[name]) : p[name]}`)
  }
  inbox.push(text.join(' '))
  waiting?.()
}
async function hear(n) {
  while (inbox.length < n) {
    await new Promise((resolve) => { waiting = resolve })
  }
  for (const line of inbox.splice(0, n)) console.log(line)
}

const open = (id, more = {}) => mqtt.connectAsync(url, { ...base, clientId: prefix + id, ...more })

// The retained message first: when it has come, the subscription is in force.
const pub = await open('pub')
await pub.publishAsync('t/kept', 'kept', { qos: 1, retain: true })

const stored = { clean: false, properties: v5 ? { sessionExpiryInterval: 60 } : undefined }
let sub = await open('sub', stored)
sub.on('message', arrived)
const granted = await sub.subscribeAsync('t/#', { qos: 2 })
if (granted[0].qos !== 2) fail(`granted ${granted[0].qos}`)
await hear(1)

for (const qos of [0, 1, 2]) {
  await pub.publishAsync('t/live', `at ${qos}`, { qos })
  await hear(1)
}
await pub.publishAsync('t/large', 'x'.repeat(100_000), { qos: 1 })
while (inbox.length < 1) await new Promise((resolve) => { waiting = resolve })
console.log(inbox.shift().length)

if (v5) {
  await pub.publishAsync('t/rich', 'rich', {
    qos: 1,
    properties: {
      contentType: 'text/plain', responseTopic: 't/answer', correlationData: Buffer.from('4711'),
      messageExpiryInterval: 3600, userProperties: { unit: 'C' },
    },
  })
  await hear(1)
}

// A client that breaks off has its will sent.
const dying = await open('dying', { will: { topic: 't/will', payload: 'gone', qos: 1, retain: false } })
dying.on('error', () => {})
dying.stream.destroy()
await hear(1)

// What comes while a client is away waits for it, in order. MQTT.js shows a
// message of QoS 2 later than it has come, at its PUBREL: so these are of QoS 1.
await sub.endAsync()
for (const n of [1, 2, 3]) await pub.publishAsync('t/away', `${n}`, { qos: 1 })
const back = mqtt.connect(url, { ...base, clientId: `${prefix}sub`, ...stored })
back.on('message', arrived)
await new Promise((resolve, reject) => {
  // MQTT 3.1 does not tell whether there is a session.
  back.once('connect', (ack) => version === 3 || ack.sessionPresent ? resolve() : reject(new Error('no session')))
  back.once('error', reject)
})
await hear(3)

await back.unsubscribeAsync('t/#')
await pub.publishAsync('t/kept', '', { qos: 1, retain: true })
await back.endAsync()
await (await open('sub')).endAsync() // and its session

// Publishing without the right is refused.
if (v5) {
  const denied = await pub.publishAsync('elsewhere', 'x', { qos: 1 }).then(() => 'allowed', (e) => `code ${e.code}`)
  console.log('elsewhere', denied)
}
await pub.endAsync()
console.log('done')
