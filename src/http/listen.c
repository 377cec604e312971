// SPDX-License-Identifier: MIT
// Addresses, listening sockets, and who may come in: the limit of connections, the longest idle one closed first.
// libuv 1.44 knows no SO_REUSEPORT, so sockets are opened here. The limit stays below the process's own of open files,
// which leaves some for Redis, logs and the rest.
#include "http/http_inside.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

enum {
    SOCKET_MODE = 0600 /* of a server of one process */,
    BACKLOG = 4096,
    FILES_IN_RESERVE = 64,
    REFUSED_AT_ONCE = 64,
    HOST_MAX = 256
};

// ---- Addresses

static bool split_address(const char *listen, char host[static HOST_MAX], const char **ret_port) {
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || colon[1] == '\0')
        return false;
    struct bytes name = {listen, (size_t)(colon - listen)};
    if (name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = (struct bytes){name.at + 1, name.len - 2};
    else if (memchr(name.at, ':', name.len))
        return false;
    if (name.len == 0 || name.len >= HOST_MAX)
        return false;
    memcpy(host, name.at, name.len);
    host[name.len] = '\0';
    *ret_port = colon + 1;
    return true;
}

static int fail(int fd, const char *listen, const char *what, char *ret_error, size_t error_size) {
    snprintf(ret_error, error_size, "cannot listen on %s: %s", listen, what);
    if (fd >= 0)
        close(fd);
    return -1;
}

// The processes of a killed supervisor hold its ports for some milliseconds more. A new supervisor tries again.
static bool bind_patiently(int fd, const struct addrinfo *to) {
    enum { TRIES = 40, PAUSE_US = 25000 };
    for (int tries = 1; bind(fd, to->ai_addr, to->ai_addrlen) < 0; tries++) {
        if (errno != EADDRINUSE || tries == TRIES)
            return false;
        usleep(PAUSE_US);
    }
    return true;
}

// `any_port`: takes a free port instead of the named one, so that another listener there does not matter.
static int open_inet(const char *listen, bool shared, bool any_port, char *ret_error, size_t error_size) {
    char host[HOST_MAX];
    const char *port;
    struct addrinfo *found, want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (!split_address(listen, host, &port))
        return fail(-1, listen, "not host:port, [v6]:port or unix:PATH", ret_error, error_size);
    int error = getaddrinfo(host, any_port ? "0" : port, &want, &found);
    if (error)
        return fail(-1, listen, gai_strerror(error), ret_error, error_size);
    int yes = 1, fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0) &&
                bind_patiently(fd, found);
    int bind_error = errno;
    freeaddrinfo(found);
    return done ? fd : fail(fd, listen, strerror(bind_error), ret_error, error_size);
}

// Only a socket is removed. A file of another kind belongs to somebody.
static bool is_taken(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0 && !S_ISSOCK(about.st_mode);
}

// A socket's file that no process holds is removed. A service that has just begun may hold the socket and not listen
// yet: then a datagram socket that connects gets "wrong type". It gets "refused" only when nobody holds the socket.
static void remove_stale(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static const char taken[] = "a file that is no socket stands there";

// The file has its mode from the beginning.
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode) {
    mode_t before = umask(~mode & 0777);
    int status = bind(fd, (const struct sockaddr *)address, sizeof *address);
    umask(before);
    return status;
}

static int open_unix(const char *listen, const char *path, mode_t mode, char *ret_error, size_t error_size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (*path == '\0' || strlen(path) >= sizeof address.sun_path)
        return fail(-1, listen, "the path is empty or too long", ret_error, error_size);
    if (is_taken(path))
        return fail(-1, listen, taken, ret_error, error_size);
    strcpy(address.sun_path, path);
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_with_mode(fd, &address, mode) < 0)
        return fail(fd, listen, strerror(errno), ret_error, error_size);
    return fd;
}

static const char *after(const char *text, const char *start) {
    size_t len = strlen(start);
    return strncmp(text, start, len) == 0 ? text + len : NULL;
}

int http_socket_open(const char *listen, bool shared, unsigned mode, char *ret_error, size_t error_size) {
    const char *path = after(listen, "unix:");
    return path ? open_unix(listen, path, mode, ret_error, error_size)
                : open_inet(listen, shared, false, ret_error, error_size);
}

// Whether the folder of a socket's file exists.
static bool has_folder(const char *path) {
    char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
    const char *slash = strrchr(path, '/');
    struct stat about;
    snprintf(folder, sizeof folder, "%.*s", slash && slash > path ? (int)(slash - path) : 1, slash ? path : ".");
    errno = ENOTDIR;
    return stat(folder, &about) == 0 && S_ISDIR(about.st_mode);
}

bool http_address_check(const char *listen, char *ret_error, size_t error_size) {
    const char *path = after(listen, "unix:");
    if (path && is_taken(path))
        return fail(-1, listen, taken, ret_error, error_size) == 0;
    if (path)
        return has_folder(path) || fail(-1, listen, strerror(errno), ret_error, error_size) == 0;
    int fd = open_inet(listen, false, true, ret_error, error_size);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int inherited(const char *listen, const char *number, char *ret_error, size_t error_size) {
    char *end;
    long fd = strtol(number, &end, 10);
    if (end == number || *end || fd < 0 || fcntl((int)fd, F_SETFL, fcntl((int)fd, F_GETFL) | O_NONBLOCK) < 0)
        return fail(-1, listen, "not an open descriptor", ret_error, error_size);
    return (int)fd;
}

// ---- Accepting

static struct http_peer peer_of(int fd) {
    struct http_peer peer = {.loopback = true};
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
        peer.loopback = false;
    else if (address.ss_family == AF_INET) {
        memcpy(peer.address, mapped, sizeof mapped);
        memcpy(peer.address + 12, &((struct sockaddr_in *)&address)->sin_addr, 4);
    } else if (address.ss_family == AF_INET6) {
        memcpy(peer.address, &((struct sockaddr_in6 *)&address)->sin6_addr, 16);
    } else {
        return peer;
    }
    static const uint8_t loopback6[16] = {[15] = 1};
    peer.loopback = (memcmp(peer.address, mapped, sizeof mapped) == 0 && peer.address[12] == 127) ||
                    memcmp(peer.address, loopback6, sizeof loopback6) == 0;
    return peer;
}

// Over the limit the longest idle connection makes room; when none is idle the new one gets a 503, or nothing when many
// already do.
static void admit(struct conn *conn) {
    struct http_server *server = conn->server;
    struct conn *longest_idle = server->idle;
    conn_open(conn);
    if (server->conn_count <= server->conn_limit || conn->state == CONN_CLOSING)
        return;
    if (longest_idle) {
        conn_close(longest_idle);
        return;
    }
    ++*server->counters.connections_refused;
    if (server->conn_count > server->conn_limit + REFUSED_AT_ONCE) {
        conn_close(conn);
    } else {
        conn_fail(conn, OVERLOADED, "There are too many connections");
        server_ready(conn);
    }
}

static struct conn *make_conn(struct http_server *server) {
    struct conn *conn = conn_take(server);
    if (conn && server->is_unix)
        uv_pipe_init(server->loop, &conn->uv.pipe, 0);
    else if (conn)
        uv_tcp_init(server->loop, &conn->uv.tcp);
    return conn;
}

static void enter(struct conn *conn, int error) {
    uv_os_fd_t fd = -1;
    if (!conn->server->is_unix && error == 0)
        uv_tcp_nodelay(&conn->uv.tcp, 1);
    uv_fileno(&conn->uv.handle, &fd);
    conn->peer = peer_of(fd);
    admit(conn);
    if (error)
        conn_close(conn);
}

// Another process has shut down the shared socket: accept() would fail for ever and libuv would never stop trying.
static void listen_again(struct http_server *server) {
    uv_os_fd_t fd;
    if (uv_fileno(&server->listener.handle, &fd) == 0 && listen(fd, BACKLOG) == 0)
        return;
    server->waiting_to_accept = false;
    uv_close(&server->listener.handle, server_handle_closed);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct http_server *server = listener->data;
    if (status == UV_EINVAL)
        listen_again(server);
    if (status < 0) // no descriptor was free: libuv has turned the client away
        return;
    struct conn *conn = make_conn(server);
    server->waiting_to_accept = !conn;
    if (conn)
        enter(conn, uv_accept(listener, &conn->uv.stream));
}

void listen_retry(struct http_server *server) {
    if (server->waiting_to_accept && !server->stopping)
        on_connection(&server->listener.stream, 0);
}

// ---- Start and stop

static uint32_t limit_of(uint32_t wanted) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return wanted;
    rlim_t reserve = files.rlim_cur / 4 < FILES_IN_RESERVE ? files.rlim_cur / 4 : FILES_IN_RESERVE;
    rlim_t possible = files.rlim_cur - reserve;
    return wanted < possible ? wanted : (uint32_t)possible;
}

static bool is_unix_socket(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
}

// Remembers the socket's file, so that it is removed at the end, and only if it is still this one.
static void note_path(struct http_server *server, const char *path) {
    struct stat file;
    if (path && stat(path, &file) == 0) {
        server->unix_path = strdup(path);
        server->unix_inode = file.st_ino;
    }
}

static void forget_path(struct http_server *server) {
    struct stat file;
    if (server->unix_path && stat(server->unix_path, &file) == 0 && file.st_ino == server->unix_inode)
        unlink(server->unix_path);
    free(server->unix_path);
    server->unix_path = NULL;
}

static int attach(struct http_server *server, int fd) {
    server->is_unix = is_unix_socket(fd);
    server->listener.handle.data = server;
    if (server->is_unix) {
        uv_pipe_init(server->loop, &server->listener.pipe, 0);
        return uv_pipe_open(&server->listener.pipe, fd);
    }
    uv_tcp_init(server->loop, &server->listener.tcp);
    return uv_tcp_open(&server->listener.tcp, fd);
}

int listen_start(struct http_server *server, const char *listen_on, char *ret_error, size_t error_size) {
    const char *number = after(listen_on, "fd:");
    int fd = number ? inherited(listen_on, number, ret_error, error_size)
                    : http_socket_open(listen_on, true, SOCKET_MODE, ret_error, error_size);
    if (fd < 0)
        return -1;
    // All that can fail happens before the handle exists: a handle could only be closed by a turn of the loop.
    if (listen(fd, BACKLOG) < 0)
        return fail(number ? -1 : fd, listen_on, strerror(errno), ret_error, error_size);
    note_path(server, after(listen_on, "unix:"));
    server->conn_limit = limit_of(server->limits.connections);
    int error = attach(server, fd);
    if (error == 0)
        error = uv_listen(&server->listener.stream, BACKLOG, on_connection);
    if (error == 0)
        return 0;
    fprintf(stderr, "cannot listen on %s: %s\n", listen_on, uv_strerror(error));
    abort(); // an open, bound, listening socket was refused: a bug
}

// Accepts the connections that wait in the kernel, then closes the socket.
void listen_drain(struct http_server *server) {
    uv_os_fd_t listener;
    int fd;
    if (uv_fileno(&server->listener.handle, &listener) == 0)
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            struct conn *conn = make_conn(server);
            if (!conn) {
                close(fd);
                break;
            }
            enter(conn, server->is_unix ? uv_pipe_open(&conn->uv.pipe, fd) : uv_tcp_open(&conn->uv.tcp, fd));
        }
    forget_path(server);
    if (!uv_is_closing(&server->listener.handle))
        uv_close(&server->listener.handle, server_handle_closed);
}

int http_server_port(const struct http_server *server) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    uv_os_fd_t fd;
    if (uv_fileno(&server->listener.handle, &fd) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : 0;
}
