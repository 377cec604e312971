// SPDX-License-Identifier: MIT
// The least that a server over libuv and llhttp can do, as a yardstick: it parses, and answers every request with the
// bytes of one file (a whole reply, head and body). Requests read together are answered by one write.
// bare_responder FILE; prints "listening PORT"; SIGTERM ends it.
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { READ_SIZE = 65536, TOGETHER_MOST = 256 };

struct client {
    uv_tcp_t stream;
    uv_write_t write;
    llhttp_t parser;
    unsigned due; // replies not yet written
    char *rest;   // what the socket did not take at once
};

static uv_loop_t loop;
static llhttp_settings_t parser_settings;
static uv_buf_t replies[TOGETHER_MOST]; // the same reply again and again
static char input[READ_SIZE];

static void on_closed(uv_handle_t *handle) {
    struct client *client = handle->data;
    free(client->rest);
    free(client);
}

static void drop(struct client *client) {
    if (!uv_is_closing((uv_handle_t *)&client->stream))
        uv_close((uv_handle_t *)&client->stream, on_closed);
}

static void on_written(uv_write_t *write, int status) {
    struct client *client = write->data;
    free(client->rest);
    client->rest = NULL;
    if (status < 0)
        drop(client);
}

static void write_rest(struct client *client, size_t from, size_t total) {
    size_t one = replies[0].len;
    client->rest = malloc(total - from);
    for (size_t at = from; at < total; at++)
        client->rest[at - from] = replies[0].base[at % one];
    uv_buf_t rest = uv_buf_init(client->rest, (unsigned)(total - from));
    client->write.data = client;
    if (uv_write(&client->write, (uv_stream_t *)&client->stream, &rest, 1, on_written) < 0)
        drop(client);
}

static void answer(struct client *client) {
    while (client->due) {
        unsigned count = client->due < TOGETHER_MOST ? client->due : TOGETHER_MOST;
        size_t total = count * replies[0].len;
        int sent = client->rest ? 0 : uv_try_write((uv_stream_t *)&client->stream, replies, count);
        client->due -= count;
        if ((sent < 0 && sent != UV_EAGAIN) || client->rest) {
            drop(client); // a client that sends on and does not read is none for a yardstick
            return;
        }
        if (sent < 0 || (size_t)sent < total)
            write_rest(client, sent < 0 ? 0 : (size_t)sent, total);
    }
}

static int on_message_complete(llhttp_t *parser) {
    ((struct client *)parser->data)->due++;
    return 0;
}

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *buf) {
    (void)handle, (void)wanted;
    *buf = uv_buf_init(input, sizeof input);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
    struct client *client = stream->data;
    if (len < 0 || (len > 0 && llhttp_execute(&client->parser, buf->base, (size_t)len) != HPE_OK))
        drop(client);
    else
        answer(client);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct client *client = status < 0 ? NULL : calloc(1, sizeof *client);
    if (!client)
        return;
    uv_tcp_init(&loop, &client->stream);
    client->stream.data = client;
    llhttp_init(&client->parser, HTTP_REQUEST, &parser_settings);
    client->parser.data = client;
    if (uv_accept(listener, (uv_stream_t *)&client->stream) < 0 || uv_tcp_nodelay(&client->stream, 1) < 0 ||
        uv_read_start((uv_stream_t *)&client->stream, give_input, on_read) < 0)
        drop(client);
}

static int load_reply(const char *path) {
    static char reply[1 << 20];
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(reply, 1, sizeof reply, file) : 0;
    if (file)
        fclose(file);
    for (int i = 0; i < TOGETHER_MOST; i++)
        replies[i] = uv_buf_init(reply, (unsigned)len);
    return len > 0;
}

int main(int argc, char **argv) {
    struct sockaddr_storage address;
    int size = sizeof address;
    uv_tcp_t listener;
    if (argc != 2 || !load_reply(argv[1])) {
        fprintf(stderr, "bare_responder FILE: a whole reply, head and body\n");
        return 2;
    }
    llhttp_settings_init(&parser_settings);
    parser_settings.on_message_complete = on_message_complete;
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&address);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0 ||
        uv_listen((uv_stream_t *)&listener, 1024, on_connection) < 0 ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size) < 0)
        return 1;
    printf("listening %d\n", ntohs(((struct sockaddr_in *)&address)->sin_port));
    fflush(stdout);
    return uv_run(&loop, UV_RUN_DEFAULT);
}
