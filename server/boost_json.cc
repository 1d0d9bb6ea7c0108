// Boost.JSON, compiled here: its headers suffice then, and no library of that name is linked.
#include <boost/json/src.hpp>
