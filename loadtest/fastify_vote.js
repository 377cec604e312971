// SPDX-License-Identifier: MIT
// The peer "fastify with ioredis": a vote is one call of the yardstick's script. PORT, REDIS (a socket), SCRIPT (a file).
const fastify = require('fastify')();
const Redis = require('ioredis');

const redis = new Redis(process.env.REDIS);
redis.defineCommand('vote', {numberOfKeys: 4, lua: require('fs').readFileSync(process.env.SCRIPT, 'utf8')});

fastify.post('/v1/load/items/:item/votes', async (request) => {
    const item = request.params.item;
    const up = await redis.vote(`v:${item}`, `i:${item}`, 'hot', 'day', request.headers['engaged-visitor'], item,
        Math.floor(Date.now() / 1000));
    return {item, votes: {up}, vote: 'up'};
});

fastify.listen({host: '127.0.0.1', port: Number(process.env.PORT)});
