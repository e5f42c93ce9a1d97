#include "taps.h"

#include <stdint.h>
#include <string.h>

#include "memory.h"

/* The mean of more samples than these is of more than rounding allows for. */
enum { MOST_TAPS = 256 };

enum outcome make_taps(decoder *jpeg, taps *made, int pixels, int lines, int samples, int subsampling,
                       int reduction) {
    double step = (double)pixels / lines, unit = (double)subsampling * reduction;
    int most = (int)(step / unit) + 5, total = 0;
    int smooth = subsampling == 2 && reduction == 1;
    if (most > MOST_TAPS) return UNSUPPORTED;
    made->first = owned(jpeg, sizeof(int32_t) * (size_t)lines);
    made->count = owned(jpeg, sizeof(int32_t) * (size_t)lines);
    made->start = owned(jpeg, sizeof(int32_t) * (size_t)lines);
    made->weights = owned(jpeg, sizeof(uint16_t) * (size_t)lines * (size_t)most);
    if (!made->first || !made->count || !made->start || !made->weights) return NO_MEMORY;
    made->most = 0;
    for (int line = 0; line < lines; line++) {
        double from = line * step, to = line + 1 == lines ? pixels : (line + 1) * step;
        double weights[MOST_TAPS + 8] = {0};
        int base = (int)(from / unit) - 1;
        double grain = smooth ? 1 : unit;
        for (int at = (int)(from / grain); at * grain < to - 1e-9; at++) {
            double begin = at * grain > from ? at * grain : from, end = (at + 1) * grain < to ? (at + 1) * grain : to;
            if (end <= begin) continue;
            int near = smooth ? at >> 1 : at, other = smooth ? near + (at & 1 ? 1 : -1) : near;
            near = near < samples ? near : samples - 1;
            other = other < 0 ? 0 : other < samples ? other : samples - 1;
            weights[near - base] += (end - begin) * (smooth ? 0.75 : 1);
            if (smooth) weights[other - base] += (end - begin) * 0.25;
        }
        int first = 0, count = most;
        while (weights[first] == 0) first++;
        while (count > first && weights[count - 1] == 0) count--;
        count -= first;
        made->first[line] = base + first;
        made->count[line] = count;
        made->start[line] = total;
        /* Rounded so that all weights of a line come to 65536, but one alone to 65535. */
        double sum = 0;
        int before = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[first + i];
            int until = (int)(sum / (to - from) * 65536 + 0.5), weight = until - before;
            made->weights[total++] = (uint16_t)(weight > 65535 ? 65535 : weight);
            before = until;
        }
        if (count > made->most) made->most = count;
    }
    return OK;
}
