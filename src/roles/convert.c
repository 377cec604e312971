// SPDX-License-Identifier: MIT
// Options, lines in and out, and the report; the forms have files of their own.
#include "roles/convert.h"
#include "base/clock.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_MAX = 1000, OUT_SIZE = 1 << 20, FLUSH_AT = 64 << 10, KEY_FILE_MAX = 4096, KEY_LEAST = 16 };

static const struct conversion_form *const forms[] = {&access_log_form, &popular_posts_form};
static const char *const option_names[OPTIONS] = {"--item-pattern", "--visitor-key", "--bots", "--item-prefix",
                                                  "--time-zone"};

static int fail(const char *what, const char *why) {
    fprintf(stderr, "engaged: convert: %s%s%s\n", what, *what ? ": " : "", why);
    return 1;
}

// ---- Options

static const struct conversion_form *form_of(const char *name) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i]->name, name) == 0)
            return forms[i];
    return NULL;
}

static const char *options_of(const struct conversion_form *form) {
    static char text[128];
    int len = snprintf(text, sizeof text, "there is no such option; it has ");
    for (int option = 0; option < OPTIONS; option++)
        if (form->options & 1U << option)
            len += snprintf(text + len, sizeof text - (size_t)len, "%s, ", option_names[option]);
    text[len - 2] = '\0';
    return text;
}

static const char *take_options(struct conversion *conversion, const struct conversion_form *form, int argc,
                                char **argv) {
    for (int at = 2; at < argc; at += 2) {
        int option = 0;
        while (option < OPTIONS && strcmp(argv[at], option_names[option]) != 0)
            option++;
        if (option == OPTIONS || !(form->options & 1U << option))
            return options_of(form);
        if (at + 1 == argc)
            return "the last option has no value";
        conversion->options[option] = argv[at + 1];
    }
    return NULL;
}

// Without a file the key is random and nobody knows it: then nothing leads from a visitor back to an address.
static const char *make_key(struct conversion *conversion) {
    char text[KEY_FILE_MAX], hex[65];
    const char *path = conversion->options[OPTION_VISITOR_KEY];
    random_fill(conversion->key.at, KEY_SIZE);
    if (!path)
        return NULL;
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(text, 1, sizeof text, file) : 0;
    if (file)
        fclose(file);
    if (len < KEY_LEAST)
        return "--visitor-key: the file can't be read, or has fewer than 16 bytes";
    sha256_hex((struct bytes){text, len}, hex);
    return secret_key_parse((struct bytes){hex, 64}, &conversion->key) ? NULL : "--visitor-key: no key";
}

// ---- Output

static void flush(struct conversion *conversion) {
    struct bytes out = buffer_bytes(&conversion->out);
    if (conversion->out.failed || fwrite(out.at, 1, out.len, stdout) != out.len)
        conversion->failed = true;
    buffer_clear(&conversion->out);
}

void convert_line_end(struct conversion *conversion) {
    buffer_add_char(&conversion->out, '\n');
    conversion->written++;
    if (conversion->out.len >= FLUSH_AT)
        flush(conversion);
}

void convert_view(struct conversion *conversion, struct bytes item, struct bytes visitor, int64_t unix_ms) {
    struct json_out json = json_out_to(&conversion->out);
    json_open(&json, '{');
    json_key(&json, BYTES("type"));
    json_text(&json, BYTES("view"));
    json_key(&json, BYTES("item"));
    json_text(&json, item);
    json_key(&json, BYTES("visitor"));
    json_text(&json, visitor);
    json_key(&json, BYTES("time"));
    json_time(&json, unix_ms);
    json_close(&json, '}');
    convert_line_end(conversion);
}

// ---- Lines

static void take_line(struct conversion *conversion, const struct conversion_form *form, struct bytes line,
                      bool too_long) {
    if (line.len && line.at[line.len - 1] == '\r')
        line.len--;
    conversion->line++;
    bool packed = conversion->line == 1 && bytes_starts(line, BYTES("\x1f\x8b"));
    const char *why = packed                            ? "it is compressed: zcat -f"
                      : too_long                        ? "it is longer than 64 KiB"
                      : memchr(line.at, '\0', line.len) ? "it has a NUL"
                      : line.len == 0                   ? NULL
                                                        : form->take(conversion, line);
    arena_reset(&conversion->arena);
    if (why && ++conversion->bad <= NAMED_MAX)
        fprintf(stderr, "engaged: convert: line %" PRIu64 ": %s\n", conversion->line, why);
}

// A byte that is too many ends no line: the rest of it is passed over.
static void take_lines(struct conversion *conversion, const struct conversion_form *form, char *line) {
    size_t len = 0;
    bool too_long = false;
    for (int c; !conversion->failed && (c = getc_unlocked(stdin)) != EOF;) {
        if (c != '\n') {
            too_long |= len == CONVERT_LINE_MAX;
            if (!too_long)
                line[len++] = (char)c;
            continue;
        }
        take_line(conversion, form, (struct bytes){line, len}, too_long);
        len = 0;
        too_long = false;
    }
    if (len && !conversion->failed)
        take_line(conversion, form, (struct bytes){line, len}, too_long);
}

static void report(const struct conversion *conversion) {
    if (conversion->bad > NAMED_MAX)
        fprintf(stderr, "engaged: convert: only the first %d bad lines are named\n", NAMED_MAX);
    fprintf(stderr,
            "engaged: convert: %" PRIu64 " lines read, %" PRIu64 " written; left out: %" PRIu64 " of bots, %" PRIu64
            " of assets, %" PRIu64 " others; %" PRIu64 " bad lines\n",
            conversion->line, conversion->written, conversion->left_out[LEFT_BOT], conversion->left_out[LEFT_ASSET],
            conversion->left_out[LEFT_OTHER], conversion->bad);
}

static int convert(struct conversion *conversion, const struct conversion_form *form, char *line) {
    take_lines(conversion, form, line);
    const char *why = form->end ? form->end(conversion) : NULL;
    flush(conversion);
    report(conversion);
    if (ferror(stdin))
        return fail("", "the input can't be read to its end");
    if (conversion->failed || fflush(stdout) != 0)
        return fail("", "the output can't be written");
    if (why)
        return fail(form->name, why);
    return conversion->bad && !conversion->written ? fail(form->name, "no line could be converted") : 0;
}

int convert_run(int argc, char **argv) {
    static struct conversion conversion;
    static char line[CONVERT_LINE_MAX + 1];
    const struct conversion_form *form = argc > 1 ? form_of(argv[1]) : NULL;
    if (!form)
        return fail("", "access-log or popular-posts is needed, before any option");
    const char *why = take_options(&conversion, form, argc, argv);
    if (!why)
        why = make_key(&conversion);
    if (!why)
        why = form->begin(&conversion);
    if (why)
        return fail(form->name, why);
    conversion.now_ms = clock_now_ms();
    arena_init(&conversion.arena, 8 * CONVERT_LINE_MAX);
    buffer_init(&conversion.out, OUT_SIZE);
    int code = convert(&conversion, form, line);
    arena_release(&conversion.arena);
    buffer_release(&conversion.out);
    free(conversion.form_data);
    return code;
}
