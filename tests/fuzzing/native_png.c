/* What libFuzzer calls with bytes that may be the inflated rows of a PNG: they go to ``unfilter_png``, built with
   sanitizers, and its pixels are compared with those of the formulas as the specification has them.

   The first byte says how many channels, the second how many pixels a row has; the rest are rows, as many as are
   whole. Built and run by tests/fuzzing/native.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"

/* W3C PNG, third edition, section 9.4. */
static int paeth(int a, int b, int c) {
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* Returns 1 for a filter that there is none of. */
static int unfilter_plainly(const png_request *request, uint8_t *pixels) {
    size_t channels = (size_t)request->channels, bytes = request->width * channels;
    for (size_t y = 0; y < request->height; y++) {
        const uint8_t *from = request->rows + y * (bytes + 1);
        uint8_t *row = pixels + y * bytes;
        for (size_t x = 0; x < bytes; x++) {
            int a = x < channels ? 0 : row[x - channels], b = y ? (row - bytes)[x] : 0;
            int c = x < channels || !y ? 0 : (row - bytes)[x - channels];
            int added[] = {0, a, b, (a + b) / 2, paeth(a, b, c)};
            if (from[0] > 4) return 1;
            row[x] = (uint8_t)(from[1 + x] + added[from[0]]);
        }
    }
    for (size_t i = 0; channels >= 3 && i < request->height * bytes; i += channels) {
        uint8_t red = pixels[i];
        pixels[i] = pixels[i + 2], pixels[i + 2] = red;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *body, size_t length) {
    static const int channels[] = {1, 3, 4, 2};
    if (length < 3 || body[1] == 0) return 0;
    png_request request = {.width = body[1], .channels = channels[body[0] & 3]};
    size_t bytes = request.width * (size_t)request.channels;
    request.height = (length - 2) / (bytes + 1);
    size_t rows = request.height * (bytes + 1), room = request.height * bytes;
    /* Memory that is just as large as it must be. */
    uint8_t *copy = malloc(rows), *right = malloc(room);
    memcpy(copy, body + 2, rows);
    request.rows = copy, request.pixels = malloc(room);
    int outcome = unfilter_png(&request), expected = request.channels == 2 || unfilter_plainly(&request, right);
    if (outcome != expected || (outcome == 0 && memcmp(request.pixels, right, room))) {
        fprintf(stderr, "native_png: not as the specification has it: outcome %d, expected %d\n", outcome, expected);
        abort();
    }
    free(copy), free(right), free(request.pixels);
    return 0;
}
