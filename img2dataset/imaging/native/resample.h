/* Rows of one component come in, lines of the result go out: the mean over the area of each pixel.

   Down first, over rows as they lie; then across, over LANES finished rows at once that lie column by column.
   Both are sums of products of 16 bits, of which the upper half is kept. */
#ifndef SHRINK_RESAMPLE_H
#define SHRINK_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "products.h"
#include "types.h"

/* Samples of a row at once; rows are as long as so many, or twice, … */
enum { CHUNK = 64 };

/* Row ``line`` of the result, not yet reduced across, to its lane. */
static void reduce_rows(component *part, int line, int lane) {
    const uint16_t *weights = part->rows.weights + part->rows.start[line];
    int first = part->rows.first[line], count = part->rows.count[line], mask = part->ring_rows - 1;
    /* Sums begin with what cutting off the lower halves loses. */
    words16 lost = (words16){0} + (uint16_t)(count / 2);
    for (int x = 0; x < part->stride; x += CHUNK) {
        words16 a = lost, b = lost, c = lost, d = lost;
        for (int k = 0; k < count; k++) {
            const uint16_t *row = part->ring + (size_t)((first + k) & mask) * part->stride + x;
            a += upper_products(sixteen(row), weights[k]);
            b += upper_products(sixteen(row + 16), weights[k]);
            c += upper_products(sixteen(row + 32), weights[k]);
            d += upper_products(sixteen(row + 48), weights[k]);
        }
        uint16_t sums[CHUNK], *column = part->lanes + (size_t)x * LANES + lane;
        memcpy(sums, &a, 32), memcpy(sums + 16, &b, 32), memcpy(sums + 32, &c, 32), memcpy(sums + 48, &d, 32);
        for (int i = 0; i < CHUNK; i++) column[i * LANES] = sums[i];
    }
}

/* ``count`` rows of the result from ``row`` on. */
static void reduce_columns(component *part, int row, int count, int width) {
    for (int line = 0; line < width; line++) {
        const uint16_t *weights = part->columns.weights + part->columns.start[line];
        const uint16_t *column = part->lanes + (size_t)part->columns.first[line] * LANES;
        int taken = part->columns.count[line];
        words16 sums = (words16){0} + (uint16_t)(taken / 2);
        for (int k = 0; k < taken; k++) sums += upper_products(sixteen(column + k * LANES), weights[k]);
        uint16_t values[LANES], *to = part->plane + (size_t)row * width + line;
        memcpy(values, &sums, sizeof values);
        for (int i = 0; i < count; i++) to[(size_t)i * width] = values[i];
    }
}

/* Takes what the first ``rows`` decoded rows allow. */
static void resample(const decoder *jpeg, component *part, int rows) {
    while (part->row < jpeg->target_height && part->rows.first[part->row] + part->rows.count[part->row] <= rows) {
        int lane = part->row % LANES;
        reduce_rows(part, part->row++, lane);
        if (lane == LANES - 1 || part->row == jpeg->target_height)
            reduce_columns(part, part->row - lane - 1, lane + 1, jpeg->target_width);
    }
}

#endif
