/* What libFuzzer calls with bytes that may be a JPEG: they go to the shrinking decoder, built with sanitizers.

   The last byte says in which of the ways the decoder is called; behind the end of a JPEG it changes nothing else.
   What breaks a promise aborts: memory that is not the decoder's, an undefined operation, pixels that depend on what
   lay in memory before, outcomes or pixels that depend on the processor. Built and run by tests/fuzzing/native.py. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"

/* Larger files only take longer; a test of hostile ones allows them. */
#if !defined(MOST_PIXELS)
#define MOST_PIXELS (1 << 16)
#endif
enum { MOST_RESULT = 1 << 20 };

/* What was freed is kept for a while, so that it is not used unseen; 256 MB of it, as usual, only costs time. */
const char *__asan_default_options(void) { return "quarantine_size_mb=8"; }

/* What the decoder's memory holds before it is written. */
static int fill;

/* The decoder's largest piece of memory, most of it tables, lies here: half the time would otherwise go to the kernel,
   which makes and clears its pages for each input. What is beyond it may not be touched, nor any of it when freed. */
static uint8_t large[1 << 19] __attribute__((aligned(64)));
static int large_is_taken;
enum { LARGE = 1 << 17 };

int __real_posix_memalign(void **made, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **made, size_t alignment, size_t bytes) {
    int failed = 0;
    if (bytes >= LARGE && bytes < sizeof large && !large_is_taken) {
        *made = large, large_is_taken = 1;
        __asan_unpoison_memory_region(large, bytes);
        __asan_poison_memory_region(large + bytes, sizeof large - bytes);
    } else {
        failed = __real_posix_memalign(made, alignment, bytes);
    }
    if (!failed) memset(*made, fill, bytes);
    return failed;
}

void __real_free(void *memory);
void __wrap_free(void *memory) {
    if (memory != large) {
        __real_free(memory);
        return;
    }
    __asan_poison_memory_region(large, sizeof large);
    large_is_taken = 0;
}

typedef struct {
    int width, height, channels;
} frame;

/* The last frame before the first scan, as the program's reader of headers sees it: of any kind, after any bytes. */
static frame frame_of(const uint8_t *body, size_t length) {
    frame found = {0};
    size_t at = 2;
    while (at + 4 <= length) {
        int marker = body[at + 1];
        if (body[at] != 0xFF || marker == 0xFF) {
            at++;
            continue;
        }
        if (marker <= 1 || (marker >= 0xD0 && marker < 0xD8)) {
            at += 2;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) break;
        if (marker >= 0xC0 && marker < 0xD0 && marker != 0xC4 && marker != 0xC8 && marker != 0xCC && at + 10 <= length)
            found = (frame){body[at + 7] << 8 | body[at + 8], body[at + 5] << 8 | body[at + 6], body[at + 9]};
        at += 2 + (size_t)(body[at + 2] << 8 | body[at + 3]);
    }
    return found;
}

static void refuse(const char *promise, int one, int other) {
    fprintf(stderr, "native_jpeg: %s: %d and %d\n", promise, one, other);
    abort();
}

typedef int shrinking(const jpeg_request *);

/* Calls the decoder over memory that holds one byte and then another. Returns the outcome, and the pixels in memory
   that is just as large as it must be. */
static int shrink_twice(shrinking *function, jpeg_request request, size_t room, uint8_t **pixels) {
    uint8_t *made[2] = {malloc(room), malloc(room)};
    int outcomes[2];
    for (int i = 0; i < 2; i++) {
        fill = i ? 0xA5 : 0x5A;
        memset(made[i], fill, room);
        request.pixels = made[i];
        outcomes[i] = function(&request);
        if (large_is_taken) refuse("memory is kept", i, outcomes[i]);
    }
    if (outcomes[0] != outcomes[1]) refuse("the outcome depends on memory", outcomes[0], outcomes[1]);
    if (outcomes[0] == 0)
        for (size_t i = 0; i < room; i++)
            if (made[0][i] != made[1][i]) refuse("a pixel depends on memory", made[0][i], made[1][i]);
    free(made[1]);
    *pixels = made[0];
    return outcomes[0];
}

static int of_the_size(int side, int by) { return side / by > 0 ? side / by : 1; }

int LLVMFuzzerTestOneInput(const uint8_t *body, size_t length) {
    static const int reductions[] = {1, 2, 4, 8}, divisors[] = {1, 2, 3, 7, 25, 1 << 16};
    frame of = frame_of(body, length);
    if (of.width < 1 || of.height < 1 || (size_t)of.width * of.height > MOST_PIXELS) return 0;
    int way = body[length - 1] % 192, reduction = reductions[way % 4], by = divisors[way / 4 % 6];
    /* What a wrong reader of headers would say: then there is room for so many channels only. */
    if (way % 5 == 4) of.channels = of.channels == 1 ? 3 : 1;
    jpeg_request request = {
        .body = body,
        .length = length,
        .width = of.width,
        .height = of.height,
        .target_width = of_the_size(of.width, by),
        .target_height = of_the_size(of.height, way % 3 ? by : by + 1),
        .luma_reduction = reduction,
        .colour_reduction = reduction > 1 ? reduction / 2 : 1,
        .flags = way / 24 | (of.channels == 1 ? GREY : 0),
    };
    size_t room = (size_t)request.target_width * request.target_height * (of.channels == 1 ? 1 : 3);
    if (room > MOST_RESULT) return 0;
    uint8_t *pixels;
    int outcome = shrink_twice(shrink_any, request, room, &pixels);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        uint8_t *others;
        int other = shrink_twice(shrink_avx2, request, room, &others);
        if (outcome != other) refuse("the outcome depends on the processor", outcome, other);
        for (size_t i = 0; outcome == 0 && i < room; i++)
            if (pixels[i] != others[i]) refuse("a pixel depends on the processor", pixels[i], others[i]);
        free(others);
    }
#endif
    free(pixels);
    return 0;
}
