/* Gives bytes to the shrinking decoder, built with sanitizers: every way of calling it, on both kinds of processor.

   ``native_driver FILE ...`` tries the files in every way and prints what came of each. ``native_driver -`` takes
   inputs from standard input, each after its length (4 bytes, the machine's order), tries each in one of the ways,
   and answers with one byte: 1 where it reached code that none before it did. What breaks a promise aborts: memory
   that is not the decoder's, an undefined operation, pixels that depend on what lay in memory before, outcomes that
   depend on the processor, ten seconds for one input. Built and fed by fuzzing/native.py. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interface.h"
#include "types.h"

enum { SLOWEST_INPUT_S = 10, MOST_PIXELS = 1 << 16, MOST_RESULT = 1 << 20, EDGES = 1 << 16 };

/* How often each way from one place in the decoder to the next was taken by this input, up to 255; and by those
   before it, a bit for each of eight ranges. */
static uint8_t taken[EDGES], taken_before[EDGES];
static size_t last_place;

/* Called by the decoder wherever its way through the code may have parted. */
void __sanitizer_cov_trace_pc(void) {
    size_t place = (size_t)__builtin_return_address(0) * 0x9E3779B97F4A7C15u >> 40;
    uint8_t *count = &taken[(place ^ last_place) & (EDGES - 1)];
    *count += *count < 255;
    last_place = place >> 1;
}

static int reached_new_code(void) {
    int reached = 0;
    for (size_t i = 0; i < EDGES; i++) {
        if (!taken[i]) continue;
        int range = taken[i] < 4 ? taken[i] - 1 : taken[i] < 8 ? 3 : 0;
        if (taken[i] >= 8) range = taken[i] < 16 ? 4 : taken[i] < 32 ? 5 : taken[i] < 128 ? 6 : 7;
        reached |= !(taken_before[i] >> range & 1);
        taken_before[i] |= (uint8_t)(1 << range);
    }
    memset(taken, 0, sizeof taken);
    last_place = 0;
    return reached;
}

/* What the decoder's memory holds before it is written. */
static int fill;

int __real_posix_memalign(void **made, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **made, size_t alignment, size_t bytes) {
    int failed = __real_posix_memalign(made, alignment, bytes);
    if (!failed) memset(*made, fill, bytes);
    return failed;
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

typedef int shrinking(const jpeg_request *);

static void refuse(const char *promise, int one, int other) {
    fprintf(stderr, "native_driver: %s: %d and %d\n", promise, one, other);
    abort();
}

/* One way of calling: memory that is just as large as it must be, filled with one byte and then with another. */
static int shrink_twice(shrinking *function, const uint8_t *body, size_t length, frame of, int width, int height,
                        int reduction, int what) {
    size_t room = (size_t)width * height * (of.channels == 1 ? 1 : 3);
    uint8_t *pixels[2] = {malloc(room), malloc(room)};
    int outcomes[2];
    for (int i = 0; i < 2; i++) {
        fill = i ? 0xA5 : 0x5A;
        memset(pixels[i], fill, room);
        jpeg_request asked = {.body = body, .length = length, .pixels = pixels[i], .width = of.width,
                              .height = of.height, .target_width = width, .target_height = height,
                              .luma_reduction = reduction, .colour_reduction = reduction > 1 ? reduction / 2 : 1,
                              .flags = what | (of.channels == 1 ? GREY : 0)};
        outcomes[i] = function(&asked);
    }
    if (outcomes[0] != outcomes[1]) refuse("the outcome depends on memory", outcomes[0], outcomes[1]);
    if (outcomes[0] == 0)
        for (size_t i = 0; i < room; i++)
            if (pixels[0][i] != pixels[1][i]) refuse("a pixel depends on memory", pixels[0][i], pixels[1][i]);
    free(pixels[0]);
    free(pixels[1]);
    return outcomes[0];
}

static int of_the_size(int side, int by) { return side / by > 0 ? side / by : 1; }

/* ``thorough``: in every way; otherwise in one that the bytes choose. */
static int try_one(const uint8_t *bytes, size_t length, int thorough) {
    frame of = frame_of(bytes, length);
    if (of.width < 1 || of.height < 1 || (!thorough && (size_t)of.width * of.height > MOST_PIXELS)) return 1;
    uint8_t *body = malloc(length);
    memcpy(body, bytes, length);
    static const int reductions[] = {1, 2, 4, 8}, divisors[] = {1, 2, 3, 7, 25, 1 << 16};
    unsigned chosen = 2166136261u;
    for (size_t i = 0; i < length; i++) chosen = (chosen ^ bytes[i]) * 16777619u;
    int best = 1;
    for (unsigned way = 0; way < 4 * 6 * 8; way++) {
        if (!thorough && way != (chosen >> 8) % 192) continue;
        int reduction = reductions[way % 4], by = divisors[way / 4 % 6], what = (int)(way / 24);
        int width = of_the_size(of.width, by), height = of_the_size(of.height, way % 3 ? by : by + 1);
        /* What a wrong reader of headers would say: then there is room for so many channels only. */
        frame said = of;
        if (way % 5 == 4) said.channels = of.channels == 1 ? 3 : 1;
        if ((size_t)width * height > MOST_RESULT) continue;
        int any = shrink_twice(shrink_any, body, length, said, width, height, reduction, what);
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2")) {
            int avx2 = shrink_twice(shrink_avx2, body, length, said, width, height, reduction, what);
            if (any != avx2) refuse("the outcome depends on the processor", any, avx2);
        }
#endif
        if (any == 0) best = 0;
    }
    free(body);
    return best;
}

static uint8_t *whole_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "native_driver: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length) exit(2);
    fclose(file);
    return bytes;
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "-") == 0) {
        uint32_t length;
        while (fread(&length, sizeof length, 1, stdin) == 1) {
            uint8_t *bytes = malloc(length + 1u);
            if (fread(bytes, 1, length, stdin) != length) return 2;
            alarm(SLOWEST_INPUT_S);
            try_one(bytes, length, 0);
            alarm(0);
            free(bytes);
            if (putchar(reached_new_code()) == EOF || fflush(stdout)) return 2;
        }
        return 0;
    }
    for (int i = 1; i < count; i++) {
        size_t length;
        uint8_t *bytes = whole_file(arguments[i], &length);
        printf("%s: %s\n", arguments[i], try_one(bytes, length, 1) ? "not taken" : "taken");
        free(bytes);
    }
    return 0;
}
