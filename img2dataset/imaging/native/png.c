/* Undoes the filters of a PNG's rows (W3C PNG, third edition, section 9): inflated bytes come in, pixels go out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"

static inline uint8_t paeth(int left, int above, int corner) {
    int to_left = abs(above - corner), to_above = abs(left - corner), to_corner = abs(left + above - 2 * corner);
    int nearer = to_above <= to_corner ? above : corner;
    return (uint8_t)(to_left <= to_above && to_left <= to_corner ? left : nearer);
}

/* ``channels`` is a constant wherever this is called. ``above``: the finished row before, zeros for the first. */
static inline int unfilter(int filter, const uint8_t *restrict from, uint8_t *restrict row,
                           const uint8_t *restrict above, size_t width, int channels) {
    size_t bytes = width * (size_t)channels;
    uint8_t left[4] = {0}, corner[4] = {0};
    switch (filter) {
        case 0:
            memcpy(row, from, bytes);
            return 0;
        case 1:
            for (size_t i = 0; i < bytes; i += (size_t)channels)
                for (int c = 0; c < channels; c++) row[i + c] = left[c] = (uint8_t)(from[i + c] + left[c]);
            return 0;
        case 2:
            for (size_t i = 0; i < bytes; i++) row[i] = (uint8_t)(from[i] + above[i]);
            return 0;
        case 3:
            for (size_t i = 0; i < bytes; i += (size_t)channels)
                for (int c = 0; c < channels; c++)
                    row[i + c] = left[c] = (uint8_t)(from[i + c] + (left[c] + above[i + c]) / 2);
            return 0;
        case 4:
            for (size_t i = 0; i < bytes; i += (size_t)channels)
                for (int c = 0; c < channels; c++) {
                    row[i + c] = left[c] = (uint8_t)(from[i + c] + paeth(left[c], above[i + c], corner[c]));
                    corner[c] = above[i + c];
                }
            return 0;
        default: return 1;
    }
}

static inline void swap_red_and_blue(uint8_t *row, size_t width, int channels) {
    for (size_t i = 0; i < width * (size_t)channels; i += (size_t)channels) {
        uint8_t red = row[i];
        row[i] = row[i + 2], row[i + 2] = red;
    }
}

/* ``channels`` is a constant wherever this is called. */
static inline int all_rows(const png_request *request, int channels) {
    const uint8_t *rows = request->rows;
    uint8_t *pixels = request->pixels;
    size_t width = request->width, bytes = width * (size_t)channels;
    uint8_t *zeros = calloc(bytes, 1), *above = zeros;
    int unknown = zeros == NULL;
    for (size_t y = 0; y < request->height && !unknown; y++, rows += bytes + 1, pixels += bytes) {
        unknown = unfilter(rows[0], rows + 1, pixels, above, width, channels);
        /* Colours are put in their order once the next row has been made from them. */
        if (channels >= 3 && y) swap_red_and_blue(above, width, channels);
        above = pixels;
    }
    if (channels >= 3 && !unknown && above != zeros) swap_red_and_blue(above, width, channels);
    free(zeros);
    return unknown;
}

int unfilter_png(const png_request *request) {
    if (request->channels == 1) return all_rows(request, 1);
    if (request->channels == 3) return all_rows(request, 3);
    return request->channels == 4 ? all_rows(request, 4) : 1;
}
