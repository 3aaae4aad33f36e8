// Lists users by name with axios, in each way that it has to send a list, for the
// end-to-end tests: node users.mjs URL TOKEN NAME…. It prints one line for each way,
// with the query as it was sent and the names in the answer.
import axios from 'axios'

const [url, token, ...names] = process.argv.slice(2)
const api = axios.create({ baseURL: url, headers: { Authorization: `Bearer ${token}` }, timeout: 20_000 })

for (const indexes of [false, true, null]) {
  for (const params of [{ 'username[eq]': names }, { username: { eq: names } }]) {
    const { data } = await api.get('/api/listUsers', { params, paramsSerializer: { indexes } })
    const sent = api.getUri({ url: '/api/listUsers', params, paramsSerializer: { indexes } }).split('?')[1]
    console.log(data.users.map((u) => u.username).join(' '), sent)
  }
}
const { status, data } = await api.get('/api/listUsers', { params: { username: names }, validateStatus: () => true })
console.log(status, data.message)
