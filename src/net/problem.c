/* SPDX-License-Identifier: Apache-2.0 */
#include "net/problem.h"

static const struct {
    int status;
    const char *title;
} titles[] = {
    {200, "OK"                             },
    {204, "No Content"                     },
    {304, "Not Modified"                   },
    {400, "Bad Request"                    },
    {401, "Unauthorized"                   },
    {403, "Forbidden"                      },
    {404, "Not Found"                      },
    {405, "Method Not Allowed"             },
    {406, "Not Acceptable"                 },
    {408, "Request Timeout"                },
    {409, "Conflict"                       },
    {412, "Precondition Failed"            },
    {413, "Content Too Large"              },
    {415, "Unsupported Media Type"         },
    {417, "Expectation Failed"             },
    {429, "Too Many Requests"              },
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"          },
    {500, "Internal Server Error"          },
    {501, "Not Implemented"                },
    {503, "Service Unavailable"            },
    {504, "Gateway Timeout"                },
    {505, "HTTP Version Not Supported"     },
};

const char *problem_title(int status)
{
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
}

void problem_json(const struct problem *p, struct buf *out)
{
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":",
               problem_title(p->status), p->status);
    buf_json(out, code_text(p->code));
    buf_add(out, STR(",\"detail\":"));
    buf_json(out, p->detail);
    for (size_t i = 0; i < p->details_n; i++) {
        buf_printf(out, "%s{\"line\":%u,\"column\":%u,\"text\":", i ? "," : ",\"details\":[",
                   p->details[i].line, p->details[i].column);
        buf_json(out, p->details[i].text);
        buf_byte(out, '}');
    }
    buf_add(out, p->details_n ? STR("]}") : STR("}"));
}
