// SPDX-License-Identifier: MIT
// The reader of replies, with a bound on the arrays that a reply announces.
#include "redis/connection_inside.h"

enum { ELEMENTS_MAX = 1 << 20 }; // of an array in a reply

// hiredis allocates as many elements as a reply announces; a billion of them would take gigabytes and seconds.
#if HIREDIS_MAJOR >= 1
redisReader *bounded_reader_new(void) {
    redisReader *reader = redisReaderCreate();
    if (reader)
        reader->maxelements = ELEMENTS_MAX;
    return reader;
}
#else
static redisReplyObjectFunctions bounded;
static void *(*create_array)(const redisReadTask *task, int elements);

static void *create_bounded_array(const redisReadTask *task, int elements) {
    return elements <= ELEMENTS_MAX ? create_array(task, elements) : NULL;
}

redisReader *bounded_reader_new(void) {
    redisReader *reader = redisReaderCreate();
    if (!reader)
        return NULL;
    if (!create_array) {
        bounded = *reader->fn;
        create_array = bounded.createArray;
        bounded.createArray = create_bounded_array;
    }
    reader->fn = &bounded;
    return reader;
}
#endif
